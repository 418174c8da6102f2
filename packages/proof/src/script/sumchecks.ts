import { PADS_DEGREE } from "../circuit/hidden.ts";
import type { Point, RoundPads } from "./backend.ts";
import { claim, equalityFactor, nextPads, product, type Script, slotTerm } from "./context.ts";
import { claimZero, known, type Linear, minus, plus, times } from "./linear.ts";

/** Less what the pads of the rounds add to a claim. */
function withoutPads<Value>(
  { backend, circuit }: Script<Value>,
  constant: Value,
  rounds: Omit<RoundPads<Value>, "vars">,
): Linear<Value> {
  if (circuit.pads === null) return known(constant);
  const { vars } = circuit.pads;
  return {
    constant,
    terms: [{ tensor: "pads", offset: 0, coefficient: backend.constant(-1n), factors: [{ ...rounds, vars }] }],
  };
}

/** A zerocheck with hidden messages, and what its final claim is. */
export function zeroSumcheck<Value>(
  script: Script<Value>,
  id: string,
  degree: number,
  point: Point<Value>,
  vars: number,
  tau: Point<Value>,
): Linear<Value> {
  const hiding = nextPads(script, degree * vars);
  const value = script.backend.zeroSumcheck(id, degree, point, vars, tau, hiding);
  const from = hiding.pads[0] ?? 0;
  return withoutPads(script, value, { kind: "zeroRounds", from, degree, top: vars, bottom: 0, point, tau });
}

/** A sumcheck of products with hidden messages that starts from `claim`, and what its final claim is. */
export function productSumcheck<Value>(
  script: Script<Value>,
  id: string,
  point: Point<Value>,
  top: number,
  bottom: number,
  claim: Linear<Value>,
): Linear<Value> {
  const { backend } = script;
  const hiding = nextPads(script, 2 * (top - bottom));
  const value = backend.productSumcheck(id, point, top, bottom, claim.constant, hiding);
  if (top === bottom) return claim;
  const from = hiding.pads[0] ?? 0;
  const rounds = withoutPads(script, value, {
    kind: "productRounds",
    from,
    degree: 2,
    top,
    bottom,
    point,
    tau: null,
  });
  if (claim.terms.length === 0) return rounds;
  // round by round the claim is multiplied by the challenge, and so are the pads in it
  const bound = Array.from({ length: top - bottom }, (_, j) => point.at(bottom + j));
  const before = times(
    script,
    { constant: backend.constant(0n), terms: claim.terms },
    backend.keep(product(script, bound)),
  );
  return plus(script, rounds, before);
}

/**
 * The pairs of pads multiply to what is committed as their products: a zerocheck over all pairs. Its factors are sent in
 * the clear at the end: the spare pair makes them uniform.
 */
export function padProducts<Value>(script: Script<Value>): void {
  const { backend, circuit } = script;
  if (circuit.pads === null) return;
  const { productVars } = circuit.pads;
  const tau = backend.challenges("pads.tau", productVars);
  const point = backend.point("pads.point", productVars);
  const final = zeroSumcheck(script, "pads", PADS_DEGREE, point, productVars, tau);
  const [left, right] = backend.words("pads", ["pads.left", "pads.right"], { clear: "spare pair" }) as [Value, Value];
  const factors = [equalityFactor(point, 0, productVars)];
  claim(script, "pads.left", left, [slotTerm(script, "pads.left", factors)]);
  claim(script, "pads.right", right, [slotTerm(script, "pads.right", factors)]);
  const products = { constant: backend.constant(0n), terms: [slotTerm(script, "pads.product", factors)] };
  const lack = minus(script, plus(script, products, final), known(backend.mul(left, right)));
  claimZero(script, "products of pads", lack);
}
