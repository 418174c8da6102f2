import type { Circuit, TensorName } from "../circuit/circuit.ts";
import type { Hiding } from "./hiding.ts";

/** Coordinates that were drawn one by one; `id` names them for caches. */
export interface Point<Value> {
  readonly id: string;
  at(i: number): Value;
}

/** One factor of a weight: a function of `vars` consecutive index bits. */
export type Factor<Value> =
  /** eq(point[from ...], bits). */
  | { readonly kind: "equality"; readonly point: Point<Value>; readonly from: number; readonly vars: number }
  /** eq(point[from ...], bits) for indices below `count`, else 0. */
  | {
      readonly kind: "prefixEquality";
      readonly point: Point<Value>;
      readonly from: number;
      readonly vars: number;
      readonly count: number;
    }
  /** 1 for indices below `count`, else 0. */
  | { readonly kind: "prefix"; readonly vars: number; readonly count: number }
  /** 1. */
  | { readonly kind: "ones"; readonly vars: number }
  /** 1 + index. */
  | { readonly kind: "place"; readonly vars: number }
  | RoundPads<Value>;

/** What the pads of a sumcheck's messages add to its final claim: a weight for each, from cell `from` on. */
export interface RoundPads<Value> {
  readonly kind: "zeroRounds" | "productRounds";
  /** Variables of the tensor of pads. */
  readonly vars: number;
  readonly from: number;
  /** Scalars of a message. */
  readonly degree: number;
  /** The variables top - 1 ... bottom were bound, to these coordinates. */
  readonly top: number;
  readonly bottom: number;
  readonly point: Point<Value>;
  /** Of a zerocheck. */
  readonly tau: Point<Value> | null;
}

/** coefficient x (tensor product of the factors, lowest bits first) on the cells from `offset` of a tensor. */
export interface ClaimTerm<Value> {
  readonly tensor: TensorName;
  readonly offset: number;
  readonly coefficient: Value;
  readonly factors: readonly Factor<Value>[];
}

/** The sum over the terms of <weight, tensor> is `value`. */
export interface Claim<Value> {
  readonly name: string;
  readonly value: Value;
  readonly terms: readonly ClaimTerm<Value>[];
}

/**
 * What the protocol script is run by. A prover answers messages, a verifier reads them, the Solidity generator writes
 * code that reads them. Values are opaque to the script. Every message is absorbed by the transcript as it is received,
 * before the script sees it, so no value can be used that does not precede the next challenge.
 */
export interface Backend<Value> {
  readonly circuit: Circuit;
  /** Names of checks that a test leaves out to show that they are needed; empty otherwise. */
  readonly omitted: ReadonlySet<string>;
  constant(value: bigint): Value;
  add(a: Value, b: Value): Value;
  sub(a: Value, b: Value): Value;
  mul(a: Value, b: Value): Value;
  /** Marks a value that is used more than once (generated code stores it). */
  keep(value: Value): Value;

  /** Absorbs the statement: chain, contract, context, and the ids of the tensors that it names. */
  begin(): void;
  /** Commitments of tensors, absorbed as one message. */
  commitments(tensors: readonly TensorName[]): Promise<void> | void;
  /** Uniform challenges. */
  challenges(id: string, count: number): Point<Value>;
  /** Room for a point whose coordinates come from a sumcheck and from `extend`. */
  point(id: string, vars: number): Point<Value>;
  /** Draws the coordinates from `from` on. */
  extend(point: Point<Value>, from: number, count: number): void;
  /** Field elements from the prover, absorbed as one message; each with its pad, or with the reason why it has none. */
  words(id: string, names: readonly string[], hiding: Hiding): Value[];
  /**
   * Sumcheck of a sum of eq(tau, x) f(x) that is zero, the factor eq divided out: round j sends t_1 ... t_degree of
   * t(X) = f-part with its top variable X, and t_0 = claim - tau_j (t_1 + ... + t_degree). Writes the point; returns
   * t(r_0).
   */
  zeroSumcheck(id: string, degree: number, point: Point<Value>, vars: number, tau: Point<Value>, hiding: Hiding): Value;
  /**
   * Sumcheck of products of two multilinear polynomials over the variables top - 1 ... bottom: round j sends c_0 and c_2.
   * Returns the final claim.
   */
  productSumcheck(id: string, point: Point<Value>, top: number, bottom: number, claim: Value, hiding: Hiding): Value;

  /** eq(a[i ... i + vars), b[j ... j + vars)). */
  equality(a: Point<Value>, i: number, b: Point<Value>, j: number, vars: number): Value;
  /** Multilinear extension, at b, of eq(a, index) [index < count]. */
  prefixEquality(a: Point<Value>, i: number, b: Point<Value>, j: number, vars: number, count: number): Value;
  /** Multilinear extension of [index < count]. */
  prefix(a: Point<Value>, i: number, vars: number, count: number): Value;
  /** Multilinear extension of [index = value]. */
  bits(a: Point<Value>, i: number, vars: number, value: number): Value;
  /** sum over bits of 2^k a[k]: the multilinear extension of the index itself. */
  index(a: Point<Value>, vars: number): Value;
  /** eq(a[0 ... vars), i) for i from 0 to 2^vars - 1. */
  equalityTable(a: Point<Value>, vars: number): Point<Value>;
  /** sum_k weight_k table_(from + k): the extension of these weights where `table` holds eq(point, .). */
  roundPads(pads: RoundPads<Value>, table: Point<Value>): Value;
  /** 1, base, base^2, ... */
  powers(base: Value, count: number): Point<Value>;
  /** Value at a of the public tensor that the statement carries in the proof (inference). */
  publicTensor(name: "input" | "output", a: Point<Value>, batchFrom: number, b: Point<Value>, unitFrom: number): Value;
  assertEqual(a: Value, b: Value, name: string): void;
  /** Tells a prover what the claim sumcheck is about. */
  claims(claims: readonly Claim<Value>[], weights: Point<Value>): void;
  /** Tells a prover what joins the claims once the block variables are bound. */
  blockClaims(terms: readonly ClaimTerm<Value>[]): void;
  /** Tells a prover what will be opened: its blinder is asked for next. */
  combine(rho: Point<Value>, coefficients: ReadonlyMap<TensorName, Value>): void;
  /**
   * Opens sum over tensors of coefficient x (blocks bound at the high coordinates), less `blinder` times the blinding
   * point, at the low coordinates.
   */
  open(
    rho: Point<Value>,
    coefficients: ReadonlyMap<TensorName, Value>,
    value: Value,
    blinder: Value | null,
  ): Promise<void> | void;
  end(): void;
}
