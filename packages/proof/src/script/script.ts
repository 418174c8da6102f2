// The protocol, once: the ordered list of what is absorbed, drawn, claimed and checked. Provers, verifiers and the
// Solidity generator run this file and differ in the backend only. docs/proof-system.md explains each part.
import type { Circuit, Lookup } from "../circuit/circuit.ts";
import type { Backend, ClaimTerm, Factor, Point } from "./backend.ts";
import { claim, equalityFactor, product, type Script, slotTerm, sum } from "./context.ts";
import { contractionClaims, contractionRelation, type Contracted } from "./contractions.ts";
import { formAt, type Weighted } from "./forms.ts";
import { tensorCoefficients } from "./weights.ts";

/** Runs the whole protocol. */
export async function runScript<Value>(backend: Backend<Value>): Promise<void> {
  const { circuit } = backend;
  const script: Script<Value> = { backend, circuit, claims: [], one: backend.constant(1n) };
  backend.begin();
  const r = await zerocheck(script);
  contractions(script, r);
  await open(script);
  backend.end();
}

/** beta^2 in the fingerprint of pairs: without it a digit could be looked up in the table of exponentials. */
export const TABLE_ID = "table id";

/** Randomness and messages that the zerocheck's final equation needs. */
interface Drawn<Value> {
  readonly alpha: Value;
  readonly beta: Value;
  readonly r: Point<Value>;
  readonly words: ReadonlyMap<string, Value>;
}

/**
 * One zerocheck of all lookup helpers and all products of columns. In the end only the factors of products are sent;
 * what enters linearly becomes a claim, so it is never in the clear.
 */
async function zerocheck<Value>(script: Script<Value>): Promise<Point<Value>> {
  const { backend, circuit } = script;
  await backend.commitments(["ranged", "auxiliary"]);
  const alpha = backend.challenges("alpha", 1).at(0);
  const beta = backend.challenges("beta", 1).at(0);
  await backend.commitments(["helpers"]);
  const gamma = backend.challenges("gamma", 1).at(0);
  const tau = backend.challenges("tau", circuit.zerocheckVars);
  const r = backend.point("r", circuit.pointVars);
  const final = backend.zeroSumcheck(r, circuit.zerocheckVars, tau);
  const names = zerocheckWords(circuit);
  const values = backend.words("zerocheck", names);
  const words = new Map(names.map((name, i) => [name, values[i]!]));
  const drawn = { alpha, beta, r, words };
  const count = circuit.lookups.length + circuit.products.reduce((total, { parts }) => total + parts.length, 0);
  const weights = backend.powers(gamma, count);
  const known: Value[] = [];
  const linear: ClaimTerm<Value>[] = [];
  circuit.lookups.forEach((lookup, i) => {
    const { constant, terms } = lookupEquation(script, lookup, drawn, weights.at(i));
    known.push(...constant);
    linear.push(...terms);
  });
  productEquations(script, drawn, weights, known, linear);
  claim(script, "zerocheck", backend.keep(backend.sub(final, sum(script, known))), linear);
  wordClaims(script, drawn);
  for (const { name, cells, form } of circuit.linear) {
    const { constant, terms } = formAt(script, form, cells, r);
    claim(script, name, backend.sub(backend.constant(0n), constant), terms);
  }
  helperSum(script);
  return r;
}

/** Whether the group is one square: then its factor is sent once. */
export const isSquare = ({ parts, factor }: Circuit["products"][number]): boolean =>
  parts.length === 1 && JSON.stringify(parts[0]!.right, bigints) === JSON.stringify(factor, bigints);

const bigints = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

/** Names of the words after the zerocheck, in their order. */
export function zerocheckWords(circuit: Circuit): string[] {
  const names: string[] = [];
  for (const { kind, lanes } of circuit.lookups) {
    if (kind === "pairs") names.push("pair");
    else if (kind !== "rangeTable") for (let j = 0; j < lanes; j++) names.push(`${kind}.${j}`);
  }
  for (const group of circuit.products) {
    names.push(`${group.name}.factor`);
    if (!isSquare(group)) names.push(`${group.name}.right`);
  }
  return names;
}

/**
 * weight (h prod_j d_j - sum_j n_j prod_(i != j) d_i) at r, with d = alpha - fingerprint: a constant and terms linear in
 * the helper h and the multiplicities.
 */
function lookupEquation<Value>(
  script: Script<Value>,
  { kind, vars, lanes, helper, slot }: Lookup,
  { alpha, beta, r, words }: Drawn<Value>,
  weight: Value,
): { constant: Value[]; terms: ClaimTerm<Value>[] } {
  const { backend } = script;
  const square = backend.omitted.has(TABLE_ID) ? backend.constant(0n) : backend.keep(backend.mul(beta, beta));
  const index = kind.endsWith("Table") ? backend.keep(backend.index(r, vars)) : undefined;
  const denominators = Array.from({ length: lanes }, (_, j) => {
    const place = index && (j === 0 ? index : backend.add(index, backend.constant(BigInt(j * 2 ** vars))));
    const fingerprint = {
      range: () => words.get(`range.${j}`)!,
      rangeTable: () => place!,
      pairs: () => backend.add(words.get("pair")!, square),
      pairTable: () => sum(script, [place!, backend.mul(beta, words.get(`pairTable.${j}`)!), square]),
    }[kind]();
    return backend.keep(backend.sub(alpha, fingerprint));
  });
  const others = denominators.map((_, j) =>
    product(
      script,
      denominators.filter((_, i) => i !== j),
    ),
  );
  const factors = [equalityFactor(r, 0, vars)];
  const terms = [slotTerm(script, helper, factors, backend.keep(backend.mul(weight, product(script, denominators))))];
  if (!kind.endsWith("Table"))
    return { constant: [backend.mul(weight, backend.sub(backend.constant(0n), sum(script, others)))], terms };
  others.forEach((other, j) =>
    terms.push(slotTerm(script, slot, factors, backend.keep(backend.mul(weight, other)), j)),
  );
  return { constant: [], terms };
}

/** Products of columns at r: constants from the words, the rest linear. Also claims what the words are. */
function productEquations<Value>(
  script: Script<Value>,
  { r, words }: Drawn<Value>,
  weights: Point<Value>,
  known: Value[],
  linear: ClaimTerm<Value>[],
): void {
  const { backend, circuit } = script;
  let at = circuit.lookups.length;
  for (const group of circuit.products) {
    const { name, cells, factor, parts } = group;
    const left = words.get(`${name}.factor`)!;
    const rights: Weighted<Value>[] = [];
    for (const { name: part, right, rest } of parts) {
      const weight = weights.at(at++);
      if (backend.omitted.has(part)) continue;
      rights.push({ form: right, weight });
      const { constant, terms } = formAt(script, rest, cells, r, weight);
      known.push(constant);
      linear.push(...terms);
    }
    const own = formAt(script, factor, cells, r);
    claim(script, `${name}.factor`, backend.sub(left, own.constant), own.terms);
    if (isSquare(group)) {
      for (const { weight } of rights) known.push(backend.mul(weight, backend.mul(left, left)));
      continue;
    }
    const right = words.get(`${name}.right`)!;
    const forms = rights.map(({ form, weight }) => formAt(script, form, cells, r, weight));
    claim(
      script,
      `${name}.right`,
      backend.sub(
        right,
        sum(
          script,
          forms.map(({ constant }) => constant),
        ),
      ),
      forms.flatMap(({ terms }) => terms),
    );
    known.push(backend.mul(left, right));
  }
}

/** The words of lookups are what their columns say at r. */
function wordClaims<Value>(script: Script<Value>, { beta, r, words }: Drawn<Value>): void {
  const { backend, circuit } = script;
  for (const { kind, vars, lanes } of circuit.lookups) {
    const factors = [equalityFactor(r, 0, vars)];
    if (kind === "pairs") {
      const group = circuit.products.find(({ name }) => name === "top")!;
      const distance = group.parts.find(({ name }) => name === "o.maximum is reached")!.right;
      const u = formAt(script, distance, group.cells, r);
      const pair = [...u.terms, slotTerm(script, "o.exponential", factors, beta)];
      claim(script, "pair", backend.sub(words.get("pair")!, u.constant), pair);
    } else if (kind !== "rangeTable") {
      const slot = kind === "range" ? "ranged" : "exponentials";
      for (let j = 0; j < lanes; j++) {
        const name = `${kind}.${j}`;
        claim(script, name, words.get(name)!, [slotTerm(script, slot, factors, script.one, j)]);
      }
    }
  }
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
  const [total] = backend.words("contractions", ["contractions"]) as [Value];
  const list: Contracted<Value>[] = contractionRelation(script, r, eta, total);
  const x = backend.point("x", circuit.contractionVars);
  const final = backend.productSumcheck("contractions", x, circuit.contractionVars, total);
  const operands = backend.words(
    "operands",
    list.flatMap(({ contraction: { name } }) => [`${name}.left`, `${name}.right`]),
  );
  const expected = list.map(({ contraction: { vars }, coefficient }, j) => {
    const missing: Value[] = [];
    for (let e = vars; e < circuit.contractionVars; e++) missing.push(backend.sub(script.one, x.at(e)));
    return product(script, [coefficient, ...missing, operands[2 * j]!, operands[2 * j + 1]!]);
  });
  backend.assertEqual(final, sum(script, expected), "contractions");
  list.forEach(({ contraction }, j) =>
    contractionClaims(script, contraction, r, x, operands[2 * j]!, operands[2 * j + 1]!),
  );
  if (circuit.statement === "inference") {
    outputClaim(script, r);
    if (circuit.settings.input === "committed") inputPaddingClaim(script, r);
  }
}

/** Inference: nothing lies behind the real inputs, so that the same input always has the same id. */
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
    // the whole tensor: cells behind the logits are zero, so that the same logits always have the same id
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
  const value = backend.productSumcheck("claims", rho, circuit.claimVars, total);
  await backend.open(rho, tensorCoefficients(script, weights, rho), value);
}
