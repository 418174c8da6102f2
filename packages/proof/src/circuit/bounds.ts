import { CompileError } from "../errors.ts";
import type { Circuit, Division } from "./circuit.ts";

/** Order of the scalar field of BN254. */
const FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const QUARTER = FIELD / 4n;

/** A job has at most 2^16 steps a round and 2^10 rounds. */
const MAX_STEPS = 1n << 26n;
/** Initial weights and merged weights stay below 2^30 in magnitude. */
const WEIGHT_LIMIT = 1n << 30n;

/**
 * Soundness needs every side of every relation to stay below p / 4 in magnitude for all values within the *enforced*
 * widths, so that an equation modulo p is an equation of integers and its quotient is unique. Weights are bounded by
 * induction over the steps: they change by an exact, field-linear amount that the widths bound.
 * @throws CompileError `WidthsDoNotFit` naming the relation
 */
export function checkBounds(circuit: Circuit): void {
  const { layers, program, settings, batch } = circuit;
  const power = (digits: number) => 1n << BigInt(digits * settings.tableBits);
  const input = (i: number) =>
    i === 0 ? 1n << BigInt(program.widths.input) : power(layers[i - 1]!.forward.quotientDigits);
  const one = (i: number) => 1n << BigInt(program.layers[i]!.inputScale);
  const probability = power(Math.ceil((program.loss.probabilityScale + 1) / settings.tableBits));
  const gradient = (i: number) => {
    const above = layers[i + 1]?.backward;
    return above ? power(above.quotientDigits) : probability + (1n << BigInt(program.loss.probabilityScale));
  };
  layers.forEach((layer, i) => {
    const name = program.layers[i]!.name;
    const operand = input(i) > one(i) ? input(i) : one(i);
    const change = BigInt(program.learningRateInteger) * BigInt(batch) * operand * gradient(i);
    const weight = WEIGHT_LIMIT + (circuit.statement === "step" ? MAX_STEPS * change : 0n);
    requireSmall(`the update of ${name}`, change * MAX_STEPS);
    requireDivision(`the outputs of ${name}`, layer.forward, BigInt(layer.biasRow + 1) * operand * weight, power);
    if (layer.backward !== null)
      requireDivision(
        `the gradient below ${name}`,
        layer.backward,
        BigInt(layer.outputs) * gradient(i) * weight,
        power,
      );
  });
  const { classes, exponentialScale, probabilityScale } = program.loss;
  const sum = BigInt(classes) << BigInt(exponentialScale);
  requireSmall("softmax", 2n * sum * probability + (2n << BigInt(probabilityScale + exponentialScale)) + sum);
}

function requireDivision(name: string, division: Division, sum: bigint, power: (digits: number) => bigint): void {
  requireSmall(name, division.scale * (sum + (1n << BigInt(division.shift))));
  requireSmall(name, power(division.digits) * (power(division.quotientDigits) + 1n) * 2n);
}

function requireSmall(name: string, value: bigint): void {
  if (value < QUARTER) return;
  throw new CompileError("WidthsDoNotFit", `${name} may reach ${value.toString(2).length} bits and wrap in the field`, {
    hint: "Use smaller widths, fewer fraction bits or a smaller batch.",
  });
}
