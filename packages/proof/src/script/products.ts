import type { ClaimTerm } from "./backend.ts";
import { claim, type Script } from "./context.ts";
import { type Linear, pad, times } from "./linear.ts";

/**
 * Products of values that the verifier does not see. The prover sends y_a = a + u and y_b = b + v with a pair of pads u, v
 * that is used once; then a b = y_a y_b - y_a v - y_b u + u v is linear in the pads and in their committed product u v.
 * Where nothing is hidden the pads are zero, and so are the last three terms.
 */
export class Products<Value> {
  readonly #script: Script<Value>;
  readonly #names: readonly string[];
  readonly #words: readonly Value[];
  readonly #firstPair: number;

  /** Receives the factors of all these products as one message. */
  constructor(script: Script<Value>, id: string, names: readonly string[]) {
    const { backend, circuit, used } = script;
    this.#script = script;
    this.#names = names;
    this.#firstPair = used.products;
    used.products += names.length;
    const pairs = 2 ** (circuit.pads?.productVars ?? 0);
    const cells = names.flatMap((_, i) => [this.#firstPair + i, pairs + this.#firstPair + i]);
    this.#words = backend.words(
      id,
      names.flatMap((name) => [`${name}.left`, `${name}.right`]),
      { pads: circuit.pads === null ? [] : cells },
    );
  }

  /** a b, and claims that the words are a and b. What the verifier knows it multiplies itself. */
  multiply(name: string, a: Linear<Value>, b: Linear<Value>): Linear<Value> {
    const script = this.#script;
    if (a.terms.length === 0) return times(script, b, a.constant);
    if (b.terms.length === 0) return times(script, a, b.constant);
    const index = this.#names.indexOf(name);
    if (index < 0) throw new Error(`the script has no product ${name}`);
    const [left, right] = [this.#words[2 * index]!, this.#words[2 * index + 1]!];
    const { backend, circuit, one } = script;
    const constant = backend.mul(left, right);
    const [u, v, uv] = [0, 1, 2].map(
      (part) => part * 2 ** (circuit.pads?.productVars ?? 0) + this.#firstPair + index,
    ) as [number, number, number];
    const hidden = (cell: number): ClaimTerm<Value>[] => (circuit.pads === null ? [] : [pad(cell, one)]);
    claim(script, `${name}.left`, backend.sub(left, a.constant), [...a.terms, ...hidden(u)]);
    claim(script, `${name}.right`, backend.sub(right, b.constant), [...b.terms, ...hidden(v)]);
    if (circuit.pads === null) return { constant, terms: [] };
    const negative = (value: Value) => backend.keep(backend.sub(backend.constant(0n), value));
    return { constant, terms: [pad(v, negative(left)), pad(u, negative(right)), pad(uv, one)] };
  }
}
