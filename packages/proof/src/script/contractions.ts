import type { Contraction } from "../circuit/circuit.ts";
import type { Factor, Point } from "./backend.ts";
import { equalityFactor, type Script, slotTerm } from "./context.ts";
import { formAt } from "./forms.ts";
import { claimZero, known, type Linear, minus, plus } from "./linear.ts";

export interface Contracted<Value> {
  readonly contraction: Contraction;
  /** Its factor in the batched sum. */
  readonly coefficient: Value;
}

/**
 * Powers of eta tie the sums to what they equal: sum_j eta^j coefficient_j sum_j = sum_j eta^j form_j(r), and for the
 * updates, which share one power, W - W' at the coordinates behind the samples. Claims that `total` is the right side.
 */
export function contractionRelation<Value>(
  script: Script<Value>,
  r: Point<Value>,
  eta: Value,
  total: Linear<Value>,
): Contracted<Value>[] {
  const { backend, circuit } = script;
  const { batchVars, contractions } = circuit;
  const forms = contractions.filter(({ form }) => form !== null);
  const weights = backend.powers(eta, forms.length + 1);
  const sums = forms.map(({ form, cells }, j) => formAt(script, form!, cells!, r, weights.at(j)));
  if (circuit.statement === "step") {
    const { vars } = circuit.tensors[0]!;
    const factors = [equalityFactor(r, batchVars, vars)];
    const weight = weights.at(forms.length);
    const negative = backend.keep(backend.sub(backend.constant(0n), weight));
    const terms = [
      { tensor: "weights", offset: 0, coefficient: weight, factors },
      { tensor: "next", offset: 0, coefficient: negative, factors },
    ] as const;
    sums.push({ constant: backend.constant(0n), terms: [...terms] });
  }
  claimZero(script, "sums of contractions", minus(script, plus(script, ...sums), total));
  return contractions.map((contraction) => {
    const { kind, layer, coefficient } = contraction;
    const power = weights.at(kind === "update" ? forms.length : forms.indexOf(contraction));
    const scaled = coefficient === 1n ? power : backend.mul(power, backend.constant(coefficient));
    if (kind !== "update") return { contraction, coefficient: scaled };
    const { offset, vars } = circuit.slots.get(`weights.${layer}`)!;
    const above = circuit.tensors[0]!.vars - vars;
    const place = backend.bits(r, batchVars + vars, above, offset / 2 ** vars);
    return { contraction, coefficient: backend.mul(scaled, place) };
  });
}

/** The two operands as linear forms of the committed tensors: their values at (r, x). */
export function operandsOf<Value>(
  script: Script<Value>,
  { kind, layer }: Contraction,
  r: Point<Value>,
  x: Point<Value>,
): { left: Linear<Value>; right: Linear<Value> } {
  const { batchVars, layers } = script.circuit;
  const { rowVars, columnVars } = layers[layer]!;
  const unit = equalityFactor(r, batchVars, columnVars);
  const weights = (factors: readonly Factor<Value>[]): Linear<Value> => ({
    constant: script.backend.constant(0n),
    terms: [slotTerm(script, `weights.${layer}`, factors)],
  });
  if (kind === "forward")
    return {
      left: inputAt(script, layer, { sample: r, sampleFrom: 0, row: x, rowFrom: 0 }),
      right: weights([unit, equalityFactor(x, 0, rowVars)]),
    };
  if (kind === "backward") {
    const column = equalityFactor(x, 0, columnVars);
    const below = equalityFactor(r, batchVars, layers[layer - 1]!.columnVars);
    return {
      left: gradientAt(script, layer, [equalityFactor(r, 0, batchVars), column]),
      right: weights([column, below]),
    };
  }
  const rowFrom = batchVars + columnVars;
  return {
    left: inputAt(script, layer, { sample: x, sampleFrom: 0, row: r, rowFrom }),
    right: gradientAt(script, layer, [equalityFactor(x, 0, batchVars), unit]),
  };
}

/** Where the input of a layer is evaluated: which sample and which row of the weights. */
interface InputPoint<Value> {
  readonly sample: Point<Value>;
  readonly sampleFrom: number;
  readonly row: Point<Value>;
  readonly rowFrom: number;
}

/**
 * The input of a layer with the constant one of the bias, which is virtual: it is added here for real samples and never
 * read from a commitment. Cells of the batch behind the inputs have weight zero.
 */
function inputAt<Value>(
  script: Script<Value>,
  layer: number,
  { sample, sampleFrom, row, rowFrom }: InputPoint<Value>,
): Linear<Value> {
  const { backend, circuit, one } = script;
  const { batch, batchVars, layers, program, settings } = circuit;
  const { inputs, rowVars, biasRow } = layers[layer]!;
  const samples = backend.prefix(sample, sampleFrom, batchVars, batch);
  const scale = backend.constant(1n << BigInt(program.layers[layer]!.inputScale));
  const bias = backend.mul(backend.mul(scale, samples), backend.bits(row, rowFrom, rowVars, biasRow));
  const factor = equalityFactor(sample, sampleFrom, batchVars);
  if (layer > 0) {
    const units = layers[layer - 1]!.columnVars;
    const inside = backend.keep(backend.sub(one, row.at(rowFrom + units)));
    const factors = [factor, equalityFactor(row, rowFrom, units)];
    return { constant: bias, terms: [slotTerm(script, `h${layer - 1}.activation`, factors, inside)] };
  }
  if (circuit.statement === "inference" && settings.input === "public")
    return known(backend.keep(backend.add(backend.publicTensor("input", sample, sampleFrom, row, rowFrom), bias)));
  const inputFactor: Factor<Value> = {
    kind: "prefixEquality",
    point: row,
    from: rowFrom,
    vars: rowVars,
    count: inputs,
  };
  return { constant: bias, terms: [slotTerm(script, "input", [factor, inputFactor])] };
}

/** The gradient of a layer's outputs: a column of hidden layers, P - 2^q Y for the classes. */
function gradientAt<Value>(script: Script<Value>, layer: number, factors: readonly Factor<Value>[]): Linear<Value> {
  const { backend, circuit } = script;
  const terms = circuit.gradients[layer]!.terms.map(({ slot, coefficient }) =>
    slotTerm(script, slot, factors, backend.constant(coefficient)),
  );
  return { constant: backend.constant(0n), terms };
}
