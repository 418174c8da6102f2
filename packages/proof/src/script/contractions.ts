import type { Contraction } from "../circuit/circuit.ts";
import type { ClaimTerm, Factor, Point } from "./backend.ts";
import { formAt } from "./forms.ts";
import { claim, equalityFactor, type Script, slotTerm } from "./context.ts";

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
  total: Value,
): Contracted<Value>[] {
  const { backend, circuit } = script;
  const { batchVars, contractions } = circuit;
  const forms = contractions.filter(({ form }) => form !== null);
  const weights = backend.powers(eta, forms.length + 1);
  const terms: ClaimTerm<Value>[] = [];
  let constant = backend.constant(0n);
  forms.forEach(({ form, cells }, j) => {
    const part = formAt(script, form!, cells!, r, weights.at(j));
    terms.push(...part.terms);
    constant = backend.add(constant, part.constant);
  });
  if (circuit.statement === "step") {
    const { vars } = circuit.tensors[0]!;
    const factors = [equalityFactor(r, batchVars, vars)];
    const weight = weights.at(forms.length);
    const minus = backend.keep(backend.sub(backend.constant(0n), weight));
    terms.push({ tensor: "weights", offset: 0, coefficient: weight, factors });
    terms.push({ tensor: "next", offset: 0, coefficient: minus, factors });
  }
  claim(script, "sums of contractions", backend.sub(total, constant), terms);
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

/** Claims that the two operands are what the committed tensors say. */
export function contractionClaims<Value>(
  script: Script<Value>,
  { name, kind, layer }: Contraction,
  r: Point<Value>,
  x: Point<Value>,
  left: Value,
  right: Value,
): void {
  const { batchVars, layers } = script.circuit;
  const { rowVars, columnVars } = layers[layer]!;
  const unit = equalityFactor(r, batchVars, columnVars);
  if (kind === "forward") {
    inputClaim(script, `${name}.left`, layer, left, { sample: r, sampleFrom: 0, row: x, rowFrom: 0 });
    const weights = slotTerm(script, `weights.${layer}`, [unit, equalityFactor(x, 0, rowVars)]);
    claim(script, `${name}.right`, right, [weights]);
  } else if (kind === "backward") {
    const column = equalityFactor(x, 0, columnVars);
    gradientClaim(script, `${name}.left`, layer, left, [equalityFactor(r, 0, batchVars), column]);
    const below = equalityFactor(r, batchVars, layers[layer - 1]!.columnVars);
    claim(script, `${name}.right`, right, [slotTerm(script, `weights.${layer}`, [column, below])]);
  } else {
    const rowFrom = batchVars + columnVars;
    inputClaim(script, `${name}.left`, layer, left, { sample: x, sampleFrom: 0, row: r, rowFrom });
    gradientClaim(script, `${name}.right`, layer, right, [equalityFactor(x, 0, batchVars), unit]);
  }
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
function inputClaim<Value>(
  script: Script<Value>,
  name: string,
  layer: number,
  value: Value,
  { sample, sampleFrom, row, rowFrom }: InputPoint<Value>,
): void {
  const { backend, circuit, one } = script;
  const { batch, batchVars, layers, program, settings } = circuit;
  const { inputs, rowVars, biasRow } = layers[layer]!;
  const samples = backend.prefix(sample, sampleFrom, batchVars, batch);
  const scale = backend.constant(1n << BigInt(program.layers[layer]!.inputScale));
  const bias = backend.mul(backend.mul(scale, samples), backend.bits(row, rowFrom, rowVars, biasRow));
  const factor = equalityFactor(sample, sampleFrom, batchVars);
  if (layer > 0) {
    const units = layers[layer - 1]!.columnVars;
    const inside = backend.sub(one, row.at(rowFrom + units));
    const factors = [factor, equalityFactor(row, rowFrom, units)];
    const term = slotTerm(script, `h${layer - 1}.activation`, factors, backend.keep(inside));
    claim(script, name, backend.sub(value, bias), [term]);
  } else if (circuit.statement === "inference" && settings.input === "public") {
    const input = backend.publicTensor("input", sample, sampleFrom, row, rowFrom);
    backend.assertEqual(value, backend.add(input, bias), "input");
  } else {
    const inputFactor: Factor<Value> = {
      kind: "prefixEquality",
      point: row,
      from: rowFrom,
      vars: rowVars,
      count: inputs,
    };
    claim(script, name, backend.sub(value, bias), [slotTerm(script, "input", [factor, inputFactor])]);
  }
}

/** The gradient of a layer's outputs: a column of hidden layers, P - 2^q Y for the classes. */
function gradientClaim<Value>(
  script: Script<Value>,
  name: string,
  layer: number,
  value: Value,
  factors: readonly Factor<Value>[],
): void {
  const { backend, circuit } = script;
  const terms = circuit.gradients[layer]!.terms.map(({ slot, coefficient }) =>
    slotTerm(script, slot, factors, backend.constant(coefficient)),
  );
  claim(script, name, value, terms);
}
