import type { ClaimTerm } from "./backend.ts";
import { claim, type Script } from "./context.ts";

/**
 * constant + the sum over the terms of <weight, tensor>: a value of which the verifier knows how it follows from what is
 * committed. Without terms it knows the value.
 */
export interface Linear<Value> {
  readonly constant: Value;
  readonly terms: readonly ClaimTerm<Value>[];
}

export const known = <Value>(constant: Value): Linear<Value> => ({ constant, terms: [] });

export function plus<Value>({ backend }: Script<Value>, ...parts: readonly Linear<Value>[]): Linear<Value> {
  return {
    constant: parts.map(({ constant }) => constant).reduce((a, b) => backend.add(a, b), backend.constant(0n)),
    terms: parts.flatMap(({ terms }) => terms),
  };
}

export function times<Value>(
  { backend, one }: Script<Value>,
  { constant, terms }: Linear<Value>,
  factor: Value,
): Linear<Value> {
  const scaled = (coefficient: Value) =>
    coefficient === one ? factor : backend.keep(backend.mul(coefficient, factor));
  return {
    constant: backend.mul(constant, factor),
    terms: terms.map((term) => ({ ...term, coefficient: scaled(term.coefficient) })),
  };
}

export function minus<Value>(script: Script<Value>, a: Linear<Value>, b: Linear<Value>): Linear<Value> {
  return plus(script, a, times(script, b, script.backend.constant(-1n)));
}

/** A cell of the pads. */
export const pad = <Value>(cell: number, coefficient: Value): ClaimTerm<Value> => ({
  tensor: "pads",
  offset: cell,
  coefficient,
  factors: [],
});

/** Claims that a value is zero; where the verifier knows it, it looks. */
export function claimZero<Value>(script: Script<Value>, name: string, { constant, terms }: Linear<Value>): void {
  const { backend } = script;
  if (terms.length === 0) backend.assertEqual(constant, backend.constant(0n), name);
  else claim(script, name, backend.sub(backend.constant(0n), constant), terms);
}
