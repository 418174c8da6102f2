import type { TensorName } from "../circuit/circuit.ts";
import type { ClaimTerm, Factor, Point } from "./backend.ts";
import { product, type Script, sum } from "./context.ts";

/** Terms of one tensor with the same factors: they differ in their place and coefficient. */
interface Family<Value> {
  readonly factors: readonly Factor<Value>[];
  readonly vars: number;
  /** Sum of weight x coefficient by offset. */
  readonly places: Map<number, Value>;
}

/**
 * The multilinear extension of the batched weights of each tensor at rho. A tensor with fewer variables than rho is
 * extended by zero: the factor prod (1 - rho_e) over the missing ones. `late` are the terms that joined when the block
 * variables were bound, so that they know only the others.
 */
export function tensorCoefficients<Value>(
  script: Script<Value>,
  weights: Point<Value>,
  rho: Point<Value>,
  late: readonly ClaimTerm<Value>[],
): Map<TensorName, Value> {
  const { backend, circuit, one } = script;
  const memo = remember<Value>();
  const lateWeights: Point<Value> = { id: "late", at: () => one };
  const missing = [one];
  for (let e = circuit.claimVars - 1; e >= 0; e--)
    missing.unshift(memo(`missing/${e}`, () => backend.keep(backend.mul(missing[0]!, backend.sub(one, rho.at(e))))));
  const table = circuit.pads === null ? undefined : backend.equalityTable(rho, circuit.pads.vars);
  const at: Evaluation<Value> = { rho, memo, table };
  const coefficients = new Map<TensorName, Value>();
  for (const { name, vars } of circuit.tensors) {
    const own = valueOf(script, familiesOf(script, script.claims, weights, name), vars, at);
    const all = vars === circuit.claimVars ? own : backend.mul(missing[vars]!, own);
    const joined = valueOf(script, familiesOf(script, [{ terms: late }], lateWeights, name), vars, at);
    coefficients.set(name, backend.keep(backend.add(all, joined)));
  }
  return coefficients;
}

/** Where weights are evaluated; `table` holds eq(rho, .) over the cells of the pads. */
interface Evaluation<Value> {
  readonly rho: Point<Value>;
  readonly memo: Memo<Value>;
  readonly table: Point<Value> | undefined;
}

/** Extension of the weights of a tensor with `vars` variables. */
function valueOf<Value>(
  script: Script<Value>,
  families: ReadonlyMap<string, Family<Value>>,
  vars: number,
  at: Evaluation<Value>,
): Value {
  const { backend, circuit } = script;
  const { rho, memo, table } = at;
  const bits = (from: number, above: number, index: number) =>
    memo(`bits/${from}/${above}/${index}`, () => backend.keep(backend.bits(rho, from, above, index)));
  const parts = [...families.values()].map((family) => {
    if (family.factors.length === 0 && table !== undefined) {
      const cells = [...family.places].map(([offset, value]) => backend.mul(table.at(offset), value));
      return backend.mul(bits(circuit.pads!.vars, vars - circuit.pads!.vars, 0), sum(script, cells));
    }
    const places = [...family.places].map(([offset, value]) => {
      const above = vars - family.vars;
      return above === 0 ? value : backend.mul(bits(family.vars, above, offset / 2 ** family.vars), value);
    });
    return product(script, [sum(script, places), ...factorsAt(script, family.factors, at)]);
  });
  return sum(script, parts);
}

type Memo<Value> = (key: string, compute: () => Value) => Value;

function remember<Value>(): Memo<Value> {
  const values = new Map<string, Value>();
  return (key, compute) => {
    if (!values.has(key)) values.set(key, compute());
    return values.get(key)!;
  };
}

/** Terms with the same key have the same factors. */
export const keyOf = <Value>(factor: Factor<Value>): string =>
  "point" in factor
    ? [factor.kind, factor.point.id, factor.from, factor.vars, "count" in factor ? factor.count : ""].join("/")
    : [factor.kind, factor.vars, "count" in factor ? factor.count : ""].join("/");

function familiesOf<Value>(
  { backend, one }: Script<Value>,
  claims: readonly { readonly terms: readonly ClaimTerm<Value>[] }[],
  weights: Point<Value>,
  tensor: TensorName,
): Map<string, Family<Value>> {
  const families = new Map<string, Family<Value>>();
  const add = (term: ClaimTerm<Value>, weight: Value) => {
    const key = term.factors.map(keyOf).join(" ");
    const vars = term.factors.reduce((total, factor) => total + factor.vars, 0);
    if (!families.has(key)) families.set(key, { factors: term.factors, vars, places: new Map() });
    const { places } = families.get(key)!;
    const value = term.coefficient === one ? weight : backend.mul(weight, term.coefficient);
    const before = places.get(term.offset);
    places.set(term.offset, before === undefined ? value : backend.add(before, value));
  };
  claims.forEach(({ terms }, j) => {
    for (const term of terms) if (term.tensor === tensor) add(term, weights.at(j));
  });
  return families;
}

function factorsAt<Value>(
  { backend, one }: Script<Value>,
  factors: readonly Factor<Value>[],
  { rho, memo, table }: Evaluation<Value>,
): Value[] {
  const values: Value[] = [];
  let at = 0;
  for (const factor of factors) {
    const from = at;
    at += factor.vars;
    if (factor.kind === "ones" || factor.vars === 0) continue;
    const evaluate = () => {
      switch (factor.kind) {
        case "equality":
          return backend.equality(factor.point, factor.from, rho, from, factor.vars);
        case "prefixEquality":
          return backend.prefixEquality(factor.point, factor.from, rho, from, factor.vars, factor.count);
        case "prefix":
          return backend.prefix(rho, from, factor.vars, factor.count);
        case "place":
          return backend.add(one, backend.index(rho, factor.vars));
        case "zeroRounds":
        case "productRounds":
          return backend.roundPads(factor, table!);
      }
    };
    values.push(memo(`${keyOf(factor)}@${from}`, () => backend.keep(evaluate())));
  }
  return values;
}
