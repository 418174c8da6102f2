// The protocol, once: the ordered list of what is absorbed, drawn, claimed and checked. Provers, verifiers and the
// Solidity generator run this file and differ in the backend only. docs/proof-system.md explains each part.
import type { Circuit, Lookup, TensorName } from "../circuit/circuit.ts";
import { contractionProducts, ZEROCHECK_DEGREE, zerocheckProducts } from "../circuit/hidden.ts";
import type { Backend, ClaimTerm, Factor, Point } from "./backend.ts";
import { claim, equalityFactor, nextPads, product, type Script, slotTerm, sum } from "./context.ts";
import { contractionRelation, type Contracted, operandsOf } from "./contractions.ts";
import { formAt } from "./forms.ts";
import { claimZero, known, type Linear, minus, pad, plus, times } from "./linear.ts";
import { Products } from "./products.ts";
import { padProducts, productSumcheck, zeroSumcheck } from "./sumchecks.ts";
import { tensorCoefficients } from "./weights.ts";

/** Runs the whole protocol. */
export async function runScript<Value>(backend: Backend<Value>): Promise<void> {
  const { circuit } = backend;
  const script: Script<Value> = {
    backend,
    circuit,
    claims: [],
    one: backend.constant(1n),
    used: { pads: 0, products: 0 },
  };
  backend.begin();
  const r = await zerocheck(script);
  contractions(script, r);
  padProducts(script);
  await open(script);
  backend.end();
  if (
    circuit.pads !== null &&
    (script.used.pads !== circuit.pads.count || script.used.products !== circuit.pads.products)
  )
    throw new Error(
      `${script.used.pads} scalars and ${script.used.products} products are hidden, not as many as planned`,
    );
}

/** beta^2 in the fingerprint of pairs: without it a digit could be looked up in the table of exponentials. */
export const TABLE_ID = "table id";

/** Randomness and messages that the zerocheck's final equation needs. */
interface Drawn<Value> {
  readonly alpha: Value;
  readonly beta: Value;
  readonly r: Point<Value>;
  /** Values of the table of exponentials at r. */
  readonly exponentials: readonly Value[];
  readonly products: Products<Value>;
}

/** Tensors that the prover commits to first. All randomness is fixed before any message that it hides. */
const firstTensors = ({ pads }: Circuit): TensorName[] =>
  pads === null ? ["ranged", "auxiliary"] : ["ranged", "auxiliary", "pads", "mask", "blind"];

/** Names of the values of the table of exponentials that the zerocheck needs. */
export function exponentialWords({ lookups }: Circuit): string[] {
  const table = lookups.find(({ kind }) => kind === "pairTable");
  return Array.from({ length: table?.lanes ?? 0 }, (_, j) => `pairTable.${j}`);
}

/**
 * One zerocheck of all lookup helpers and all products of columns. In the end only the factors of products are sent;
 * what enters linearly becomes a claim, so it is never sent.
 */
async function zerocheck<Value>(script: Script<Value>): Promise<Point<Value>> {
  const { backend, circuit } = script;
  await backend.commitments(firstTensors(circuit));
  const alpha = backend.challenges("alpha", 1).at(0);
  const beta = backend.challenges("beta", 1).at(0);
  await backend.commitments(["helpers"]);
  const gamma = backend.challenges("gamma", 1).at(0);
  const tau = backend.challenges("tau", circuit.zerocheckVars);
  const r = backend.point("r", circuit.pointVars);
  const final = zeroSumcheck(script, "zerocheck", ZEROCHECK_DEGREE, r, circuit.zerocheckVars, tau);
  const exponentials = exponentialClaims(script, r);
  const products = new Products(script, "zerocheck", zerocheckProducts(circuit));
  const drawn = { alpha, beta, r, exponentials, products };
  const count = circuit.lookups.length + circuit.products.reduce((total, { parts }) => total + parts.length, 0);
  const weights = backend.powers(gamma, count);
  const equations = circuit.lookups.map((lookup, i) =>
    times(script, lookupEquation(script, lookup, drawn), weights.at(i)),
  );
  equations.push(...productEquations(script, drawn, weights));
  claimZero(script, "zerocheck", minus(script, plus(script, ...equations), final));
  for (const { name, cells, form } of circuit.linear) claimZero(script, name, formAt(script, form, cells, r));
  helperSum(script);
  return r;
}

/** Values of a public table at a public point: sent, because the verifier would need long to compute them. */
function exponentialClaims<Value>(script: Script<Value>, r: Point<Value>): Value[] {
  const { backend, circuit } = script;
  const table = circuit.lookups.find(({ kind }) => kind === "pairTable");
  if (table === undefined) return [];
  const names = exponentialWords(circuit);
  const values = backend.words("exponentials", names, { clear: "public table" });
  const factors = [equalityFactor(r, 0, table.vars)];
  names.forEach((name, j) =>
    claim(script, name, values[j]!, [slotTerm(script, "exponentials", factors, script.one, j)]),
  );
  return values;
}

/** h prod_j d_j - sum_j n_j prod_(i != j) d_i at r, with d = alpha - fingerprint: zero where h = sum_j n_j / d_j. */
function lookupEquation<Value>(script: Script<Value>, lookup: Lookup, drawn: Drawn<Value>): Linear<Value> {
  const { kind, vars, helper } = lookup;
  const helperTerm = slotTerm(script, helper, [equalityFactor(drawn.r, 0, vars)]);
  const h = { constant: script.backend.constant(0n), terms: [helperTerm] };
  switch (kind) {
    case "range":
      return rangeEquation(script, lookup, drawn, h);
    case "pairs": {
      const whole = drawn.products.multiply("pairs", h, pairDenominator(script, drawn));
      return minus(script, whole, known(script.one));
    }
    default:
      return tableEquation(script, lookup, drawn, h);
  }
}

const tableId = <Value>({ backend }: Script<Value>, beta: Value): Value =>
  backend.omitted.has(TABLE_ID) ? backend.constant(0n) : backend.keep(backend.mul(beta, beta));

/** Four digits: h d0 d1 d2 d3 - ... = d2 d3 (h d0 d1 - d0 - d1) - d0 d1 (d2 + d3). */
function rangeEquation<Value>(
  script: Script<Value>,
  { vars, slot }: Lookup,
  { alpha, r, products }: Drawn<Value>,
  h: Linear<Value>,
): Linear<Value> {
  const minusOne = script.backend.constant(-1n);
  const denominator = (lane: number): Linear<Value> => ({
    constant: alpha,
    terms: [slotTerm(script, slot, [equalityFactor(r, 0, vars)], minusOne, lane)],
  });
  const [d0, d1, d2, d3] = [denominator(0), denominator(1), denominator(2), denominator(3)];
  const upper = products.multiply("range.upper", d0, d1);
  const lower = products.multiply("range.lower", d2, d3);
  const rest = minus(script, products.multiply("range.helper", h, upper), plus(script, d0, d1));
  const first = products.multiply("range.first", lower, rest);
  return minus(script, first, products.multiply("range.second", upper, plus(script, d2, d3)));
}

/** alpha - (u + beta e + beta^2) for the pair of each class cell. */
function pairDenominator<Value>(script: Script<Value>, { alpha, beta, r }: Drawn<Value>): Linear<Value> {
  const { circuit } = script;
  const group = circuit.products.find(({ name }) => name === "top")!;
  const distance = group.parts.find(({ name }) => name === "o.maximum is reached")!.right;
  const u = formAt(script, distance, group.cells, r);
  const factors = [equalityFactor(r, 0, circuit.batchVars + group.cells.unitVars)];
  const e = { ...known(tableId(script, beta)), terms: [slotTerm(script, "o.exponential", factors, beta)] };
  return minus(script, known(alpha), plus(script, u, e));
}

/** Tables: the verifier knows the denominators, and the numerators are the negated multiplicities. */
function tableEquation<Value>(
  script: Script<Value>,
  { kind, vars, lanes, slot }: Lookup,
  { alpha, beta, r, exponentials }: Drawn<Value>,
  h: Linear<Value>,
): Linear<Value> {
  const { backend } = script;
  const index = backend.keep(backend.index(r, vars));
  const denominators = Array.from({ length: lanes }, (_, j) => {
    const place = j === 0 ? index : backend.add(index, backend.constant(BigInt(j * 2 ** vars)));
    const fingerprint =
      kind === "rangeTable" ? place : sum(script, [place, backend.mul(beta, exponentials[j]!), tableId(script, beta)]);
    return backend.keep(backend.sub(alpha, fingerprint));
  });
  const without = (lane: number) =>
    product(
      script,
      denominators.filter((_, j) => j !== lane),
    );
  const multiplicities = denominators.map((_, j): ClaimTerm<Value> => {
    return slotTerm(script, slot, [equalityFactor(r, 0, vars)], backend.keep(without(j)), j);
  });
  return plus(script, times(script, h, backend.keep(product(script, denominators))), {
    ...known(backend.constant(0n)),
    terms: multiplicities,
  });
}

/** Products of columns at r: factor x (sum of weight x right) + sum of weight x rest for each group. */
function productEquations<Value>(
  script: Script<Value>,
  { r, products }: Drawn<Value>,
  weights: Point<Value>,
): Linear<Value>[] {
  const { backend, circuit } = script;
  let at = circuit.lookups.length;
  return circuit.products.map(({ name, cells, factor, parts }) => {
    const rights: Linear<Value>[] = [];
    const rests: Linear<Value>[] = [];
    for (const { name: part, right, rest } of parts) {
      const weight = weights.at(at++);
      if (backend.omitted.has(part)) continue;
      rights.push(formAt(script, right, cells, r, weight));
      rests.push(formAt(script, rest, cells, r, weight));
    }
    const whole = products.multiply(name, formAt(script, factor, cells, r), plus(script, ...rights));
    return plus(script, whole, ...rests);
  });
}

/** All helpers add up to zero. Over the slots only: cells between slots are free. */
function helperSum<Value>(script: Script<Value>): void {
  const terms = script.circuit.lookups.map(({ helper, vars }) => slotTerm(script, helper, [{ kind: "ones", vars }]));
  claim(script, "sum of helpers", script.backend.constant(0n), terms);
}

/** All matrix products in one sumcheck (Thaler 2013), tied to their relations by one word. */
function contractions<Value>(script: Script<Value>, r: Point<Value>): void {
  const { backend, circuit } = script;
  if (circuit.pointVars > circuit.zerocheckVars)
    backend.extend(r, circuit.zerocheckVars, circuit.pointVars - circuit.zerocheckVars);
  const eta = backend.challenges("eta", 1).at(0);
  const hiding = nextPads(script, 1);
  const [word] = backend.words("contractions", ["contractions"], hiding) as [Value];
  const hidden = hiding.pads.map((cell) => pad(cell, backend.constant(-1n)));
  const total = { constant: word, terms: hidden };
  const list: Contracted<Value>[] = contractionRelation(script, r, eta, total);
  const x = backend.point("x", circuit.contractionVars);
  const final = productSumcheck(script, "contractions", x, circuit.contractionVars, 0, total);
  const products = new Products(script, "operands", contractionProducts(circuit));
  const expected = list.map(({ contraction, coefficient }) => {
    const missing: Value[] = [];
    for (let e = contraction.vars; e < circuit.contractionVars; e++) missing.push(backend.sub(script.one, x.at(e)));
    const { left, right } = operandsOf(script, contraction, r, x);
    const factor = backend.keep(product(script, [coefficient, ...missing]));
    return times(script, products.multiply(contraction.name, left, right), factor);
  });
  claimZero(script, "contractions", minus(script, plus(script, ...expected), final));
  if (circuit.statement === "inference") {
    outputClaim(script, r);
    if (circuit.settings.input === "committed") inputPaddingClaim(script, r);
  }
}

/** Inference: nothing lies behind the real inputs, so that an input has one encoding. */
function inputPaddingClaim<Value>(script: Script<Value>, r: Point<Value>): void {
  const { backend, circuit, one } = script;
  const { batch, batchVars, layers } = circuit;
  const { inputs, rowVars } = layers[0]!;
  const { vars } = circuit.tensors.find(({ name }) => name === "batch")!;
  const inside = batchVars + rowVars;
  const place = backend.keep(backend.bits(r, inside, vars - inside, 0));
  const real: Factor<Value>[] = [
    { kind: "prefixEquality", point: r, from: 0, vars: batchVars, count: batch },
    { kind: "prefixEquality", point: r, from: batchVars, vars: rowVars, count: inputs },
  ];
  claim(script, "no input in padding", backend.constant(0n), [
    { tensor: "batch", offset: 0, coefficient: one, factors: [equalityFactor(r, 0, vars)] },
    slotTerm(script, "input", real, backend.sub(backend.constant(0n), place)),
  ]);
}

/** Inference: the logits are the public ones, or those behind the output's commitment. */
function outputClaim<Value>(script: Script<Value>, r: Point<Value>): void {
  const { backend, circuit } = script;
  const last = circuit.contractions.findLast(({ kind }) => kind === "forward")!;
  const logits = circuit.output!;
  const vars = circuit.batchVars + last.cells!.unitVars;
  if (circuit.settings.output === "committed") {
    // the whole tensor: cells behind the logits are zero, so that logits have one encoding
    const whole = circuit.tensors.find(({ name }) => name === "output")!.vars;
    const inside = backend.keep(backend.bits(r, vars, whole - vars, 0));
    const { constant, terms } = formAt(script, logits, last.cells!, r, inside);
    const factors = [equalityFactor(r, 0, whole)];
    const committed = { tensor: "output", offset: 0, coefficient: backend.constant(-1n), factors } as const;
    claim(script, "output", backend.sub(backend.constant(0n), constant), [...terms, committed]);
  } else {
    const { constant, terms } = formAt(script, logits, last.cells!, r);
    const value = backend.publicTensor("output", r, 0, r, circuit.batchVars);
    claim(script, "output", backend.sub(value, constant), terms);
  }
}

/** Batches all claims into one evaluation, and opens it. */
async function open<Value>(script: Script<Value>): Promise<void> {
  const { backend, circuit, claims } = script;
  const delta = backend.challenges("delta", 1).at(0);
  const weights = backend.powers(delta, claims.length);
  backend.claims(claims, weights);
  const total = backend.keep(
    sum(
      script,
      claims.map(({ value }, j) => backend.mul(weights.at(j), value)),
    ),
  );
  const rho = backend.point("rho", circuit.claimVars);
  const { blockBits } = circuit.settings;
  const blocks = productSumcheck(script, "claims", rho, circuit.claimVars, blockBits, known(total));
  const { claim: start, terms } = masked(script, blocks);
  const hiding = { clear: "mask" } as const;
  const value = backend.productSumcheck("claims", rho, blockBits, 0, start, hiding);
  const coefficients = tensorCoefficients(script, weights, rho, terms);
  if (circuit.pads === null) return backend.open(rho, coefficients, value, null);
  const [blind] = backend.words("blind", ["blind"], { clear: "blind" }) as [Value];
  const share = backend.challenges("blind", 1).at(0);
  coefficients.set("blind", share);
  backend.combine(rho, coefficients);
  const [blinder] = backend.words("blinder", ["blinder"], { clear: "blinder" }) as [Value];
  await backend.open(rho, coefficients, backend.keep(backend.add(value, backend.mul(share, blind))), blinder);
}

/**
 * With the block variables bound, their pads become one more weight of the tensor of pads, and the mask joins, so that the
 * other rounds reveal nothing: <1 + index, mask> is sent, and a random multiple of it is added.
 */
function masked<Value>(
  script: Script<Value>,
  blocks: Linear<Value>,
): { claim: Value; terms: readonly ClaimTerm<Value>[] } {
  const { backend, circuit } = script;
  if (circuit.pads === null) return { claim: blocks.constant, terms: [] };
  const [sumOfMask] = backend.words("mask", ["mask"], { clear: "mask" }) as [Value];
  const share = backend.challenges("mask", 1).at(0);
  const factors = [{ kind: "place", vars: circuit.settings.blockBits }] as const;
  // the true claim is the sent one less the pads: so they are added to what it is about
  const pads = times(script, { ...blocks, constant: backend.constant(0n) }, backend.constant(-1n)).terms;
  const terms: ClaimTerm<Value>[] = [...pads, { tensor: "mask", offset: 0, coefficient: share, factors }];
  backend.blockClaims(terms);
  return { claim: backend.keep(backend.add(blocks.constant, backend.mul(share, sumOfMask))), terms };
}
