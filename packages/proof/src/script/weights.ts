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
 * extended by zero: the factor prod (1 - rho_e) over the missing ones.
 */
export function tensorCoefficients<Value>(
  script: Script<Value>,
  weights: Point<Value>,
  rho: Point<Value>,
): Map<TensorName, Value> {
  const { backend, circuit, one } = script;
  const memo = remember<Value>();
  const missing = [one];
  for (let e = circuit.claimVars - 1; e >= 0; e--)
    missing.unshift(memo(`missing/${e}`, () => backend.keep(backend.mul(missing[0]!, backend.sub(one, rho.at(e))))));
  const coefficients = new Map<TensorName, Value>();
  for (const { name, vars } of circuit.tensors) {
    const parts = [...familiesOf(script, weights, name).values()].map((family) => {
      const places = [...family.places].map(([offset, value]) => {
        const above = vars - family.vars;
        const index = offset / 2 ** family.vars;
        const place = memo(`bits/${family.vars}/${above}/${index}`, () =>
          backend.keep(backend.bits(rho, family.vars, above, index)),
        );
        return above === 0 ? value : backend.mul(place, value);
      });
      return product(script, [sum(script, places), ...factorsAt(script, family.factors, rho, memo)]);
    });
    const own = sum(script, parts);
    coefficients.set(name, backend.keep(vars === circuit.claimVars ? own : backend.mul(missing[vars]!, own)));
  }
  return coefficients;
}

type Memo<Value> = (key: string, compute: () => Value) => Value;

function remember<Value>(): Memo<Value> {
  const values = new Map<string, Value>();
  return (key, compute) => {
    if (!values.has(key)) values.set(key, compute());
    return values.get(key)!;
  };
}

const keyOf = <Value>(factor: Factor<Value>): string =>
  "point" in factor
    ? [factor.kind, factor.point.id, factor.from, factor.vars, "count" in factor ? factor.count : ""].join("/")
    : [factor.kind, factor.vars, "count" in factor ? factor.count : ""].join("/");

function familiesOf<Value>(
  { backend, claims, one }: Script<Value>,
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
  { backend }: Script<Value>,
  factors: readonly Factor<Value>[],
  rho: Point<Value>,
  memo: Memo<Value>,
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
      }
    };
    values.push(memo(`${keyOf(factor)}@${from}`, () => backend.keep(evaluate())));
  }
  return values;
}
