import type { Circuit } from "../circuit/circuit.ts";
import type { Backend, Claim, ClaimTerm, Factor, Point } from "./backend.ts";

/** State that the parts of the script share. */
export interface Script<Value> {
  readonly backend: Backend<Value>;
  readonly circuit: Circuit;
  readonly claims: Claim<Value>[];
  readonly one: Value;
  /** Pads and pairs of pads that are used so far. */
  readonly used: { pads: number; products: number };
}

/** Pads for the next scalars, each used once. */
export function nextPads<Value>({ circuit, used }: Script<Value>, count: number): { pads: number[] } {
  const { pads } = circuit;
  if (pads === null) return { pads: [] };
  const from = pads.first + used.pads;
  used.pads += count;
  return { pads: Array.from({ length: count }, (_, i) => from + i) };
}

/** Adds a claim, unless a test leaves it out. */
export function claim<Value>(
  script: Script<Value>,
  name: string,
  value: Value,
  terms: readonly ClaimTerm<Value>[],
): void {
  if (!script.backend.omitted.has(name)) script.claims.push({ name, value, terms });
}

export function sum<Value>({ backend }: Script<Value>, values: readonly Value[]): Value {
  return values.length === 0 ? backend.constant(0n) : values.reduce((a, b) => backend.add(a, b));
}

export function product<Value>({ backend, one }: Script<Value>, values: readonly Value[]): Value {
  return values.reduce((a, b) => backend.mul(a, b), one);
}

export const equalityFactor = <Value>(point: Point<Value>, from: number, vars: number): Factor<Value> => ({
  kind: "equality",
  point,
  from,
  vars,
});

/** Term of a whole slot; `lane` picks one of equal parts. */
export function slotTerm<Value>(
  { circuit, one }: Script<Value>,
  slot: string,
  factors: readonly Factor<Value>[],
  coefficient: Value = one,
  lane = 0,
): ClaimTerm<Value> {
  const { tensor, offset } = circuit.slots.get(slot)!;
  const vars = factors.reduce((total, factor) => total + factor.vars, 0);
  return { tensor, offset: offset + lane * 2 ** vars, coefficient, factors };
}
