// One file although it is long: one class, a method for each kernel.
import { ProofError } from "../errors.ts";
import { inverse, mod, P } from "../field/fr.ts";
import type { KernelSource } from "../kernels.ts";
import { instantiateProofKernels, type ProofInstance, type ProofKernels } from "./kernels.ts";
import { Stack } from "./memory.ts";

/** Elements of the scalar field in the memory of the kernels: byte offset and number of elements. */
export interface Vector {
  readonly at: number;
  readonly length: number;
}

/** One product of tables with a coefficient; `factors` are indices of tables, at most 5. */
export interface Term {
  readonly coefficient: bigint;
  readonly factors: readonly number[];
}

/** Bytes of an element: 9 limbs of 29 bits, Montgomery form with R = 2^261. */
const ELEMENT = 36;
const LIMBS = 9;
const LIMB_BITS = 29n;
const LIMB_MASK = (1n << LIMB_BITS) - 1n;
const R = (1n << 261n) % P;
const R_INVERSE = inverse(R);

/** Evaluations of a round: at 0 ... 5. */
const POINTS = 6;

/** Scratch at a fixed place: results of kernels, then the scalar argument. */
const RESULTS = 8;

function requireLength(condition: boolean, message: string): void {
  if (!condition) throw new ProofError("BadVector", message);
}

/**
 * Vectors over the scalar field of BN254, computed by the WebAssembly kernels in one memory. Memory is a stack: `release`
 * frees everything that was made after `mark`. Index bits count from the least significant: variable 0 is bit 0, the top
 * variable the highest bit. Scalars may be any integers; results lie in [0, p).
 *
 * Every method that makes a vector throws ProofError `OutOfMemory` when memory ends and `BadVector` when lengths disagree.
 */
export class FieldVectors {
  readonly #kernels: ProofKernels;
  readonly #stack: Stack;
  readonly #module: WebAssembly.Module;
  readonly #results: number;
  readonly #scalar: number;

  private constructor(instance: ProofInstance) {
    this.#kernels = instance.kernels;
    this.#module = instance.module;
    this.#stack = new Stack(instance);
    this.#results = this.#stack.allocate(RESULTS * ELEMENT);
    this.#scalar = this.#stack.allocate(ELEMENT);
  }

  /**
   * In Node the kernels that set-up built are found; elsewhere pass `proof.wasm`.
   * @throws DataError `BadKernels`
   * @example
   * const vectors = await FieldVectors.create();
   * const table = vectors.equality([3n, 5n]);
   */
  static async create(options: { kernels?: KernelSource } = {}): Promise<FieldVectors> {
    return new FieldVectors(await instantiateProofKernels(options.kernels));
  }

  /** The compiled kernels, for instances in other threads. */
  get module(): WebAssembly.Module {
    return this.#module;
  }

  mark(): number {
    return this.#stack.mark();
  }

  release(mark: number): void {
    this.#stack.release(mark);
  }

  /** A vector of n zeros. */
  zeros(n: number): Vector {
    const v = this.#make(n);
    new Uint8Array(this.#stack.buffer, v.at, n * ELEMENT).fill(0);
    return v;
  }

  /** Signed integers below 2^53 in magnitude. */
  fromIntegers(values: Int8Array | Int16Array | Int32Array | Float64Array): Vector {
    const v = this.#make(values.length);
    this.#temporarily(8 * values.length, (source) => {
      new Float64Array(this.#stack.buffer, source, values.length).set(values);
      this.#kernels.fromDoubles(v.at, source, values.length);
    });
    return v;
  }

  fromBigInts(values: readonly bigint[]): Vector {
    const v = this.#make(values.length);
    values.forEach((value, i) => this.#write(v.at + i * ELEMENT, value));
    return v;
  }

  /** Element i. */
  get(v: Vector, i: number): bigint {
    requireLength(i >= 0 && i < v.length, `element ${i} of a vector of ${v.length}`);
    return this.#read(v.at + i * ELEMENT);
  }

  toBigInts(v: Vector): bigint[] {
    const words = new BigUint64Array(this.toWords(v).buffer);
    return Array.from({ length: v.length }, (_, i) => {
      const [a, b, c, d] = words.subarray(4 * i, 4 * i + 4) as unknown as [bigint, bigint, bigint, bigint];
      return a | (b << 64n) | (c << 128n) | (d << 192n);
    });
  }

  /** Integers below p, 8 words of 32 bits each, least significant first: the scalars of a commitment. */
  toWords(v: Vector): Uint32Array<ArrayBuffer> {
    return this.#temporarily(32 * v.length, (target) => {
      this.#kernels.toWords(target, v.at, v.length);
      return new Uint32Array(this.#stack.buffer, target, 8 * v.length).slice();
    });
  }

  /** A view of the elements offset ... offset + length - 1. */
  slice(v: Vector, offset: number, length: number): Vector {
    requireLength(offset >= 0 && length >= 0 && offset + length <= v.length, "slice outside the vector");
    return { at: v.at + offset * ELEMENT, length };
  }

  copy(v: Vector): Vector {
    const target = this.#make(v.length);
    this.copyInto(target, v);
    return target;
  }

  copyInto(target: Vector, source: Vector): void {
    this.#sameLength(target, source);
    new Uint8Array(this.#stack.buffer).copyWithin(target.at, source.at, source.at + source.length * ELEMENT);
  }

  /** Table of prod_j (b_j x_j + (1 - b_j)(1 - x_j)) over the bits b of the index. */
  equality(point: readonly bigint[]): Vector {
    const v = this.#make(2 ** point.length);
    const mark = this.mark();
    this.#kernels.equality(v.at, this.fromBigInts(point).at, point.length);
    this.release(mark);
    return v;
  }

  /** target += source */
  add(target: Vector, source: Vector): void {
    this.#sameLength(target, source);
    this.#kernels.add(target.at, source.at, source.length);
  }

  /** target += k source */
  addScaled(target: Vector, source: Vector, k: bigint): void {
    this.#sameLength(target, source);
    if (k === 1n) this.#kernels.add(target.at, source.at, source.length);
    else this.#kernels.addScaled(target.at, source.at, this.#argument(k), source.length);
  }

  /** v *= k */
  scale(v: Vector, k: bigint): void {
    this.#kernels.scale(v.at, v.at, this.#argument(k), v.length);
  }

  /** k - v, element by element. */
  subtractFrom(k: bigint, v: Vector): Vector {
    const target = this.#make(v.length);
    this.#kernels.subtractFrom(target.at, this.#argument(k), v.at, v.length);
    return target;
  }

  /** a b, element by element. */
  multiply(a: Vector, b: Vector): Vector {
    this.#sameLength(a, b);
    const target = this.#make(a.length);
    this.#kernels.multiply(target.at, a.at, b.at, a.length);
    return target;
  }

  /** [high.length][low.length]: element (j, i) is high_j low_i. */
  outer(low: Vector, high: Vector): Vector {
    const target = this.#make(low.length * high.length);
    this.#kernels.outer(target.at, low.at, low.length, high.at, high.length);
    return target;
  }

  dot(a: Vector, b: Vector): bigint {
    this.#sameLength(a, b);
    this.#kernels.dot(this.#results, a.at, b.at, a.length);
    return this.#read(this.#results);
  }

  /** matrix [rows][v.length] times v: contracts the low index. */
  rowDots(matrix: Vector, v: Vector): Vector {
    const target = this.#make(this.#quotient(matrix.length, v.length));
    this.#kernels.rowDots(target.at, matrix.at, v.at, target.length, v.length);
    return target;
  }

  /** v times matrix [v.length][columns]: contracts the high index. */
  columnDots(matrix: Vector, v: Vector): Vector {
    const target = this.#make(this.#quotient(matrix.length, v.length));
    this.#kernels.columnDots(target.at, matrix.at, v.at, v.length, target.length);
    return target;
  }

  /** `rowDots` of an integer matrix. */
  integerRowDots(matrix: Int32Array, v: Vector): Vector {
    const target = this.#make(this.#quotient(matrix.length, v.length));
    this.#temporarily(4 * matrix.length, (source) => {
      new Int32Array(this.#stack.buffer, source, matrix.length).set(matrix);
      this.#kernels.integerRowDots(target.at, source, v.at, target.length, v.length);
    });
    return target;
  }

  /** `columnDots` of an integer matrix. */
  integerColumnDots(matrix: Int32Array, v: Vector): Vector {
    const target = this.#make(this.#quotient(matrix.length, v.length));
    this.#temporarily(4 * matrix.length, (source) => {
      new Int32Array(this.#stack.buffer, source, matrix.length).set(matrix);
      this.#kernels.integerColumnDots(target.at, source, v.at, v.length, target.length);
    });
    return target;
  }

  /** Sets the top variable to x, in place; returns the half that holds the result. */
  fold(v: Vector, x: bigint): Vector {
    const half = this.#half(v);
    this.#kernels.fold(v.at, half, this.#argument(x));
    return { at: v.at, length: half };
  }

  /** Sets variable 0 to x. */
  foldLow(v: Vector, x: bigint): Vector {
    const target = this.#make(this.#half(v));
    this.#kernels.foldLow(target.at, v.at, target.length, this.#argument(x));
    return target;
  }

  /** Sums over the top variable, in place; returns the half that holds the result. */
  sumHalves(v: Vector): Vector {
    const half = this.#half(v);
    this.#kernels.add(v.at, v.at + half * ELEMENT, half);
    return { at: v.at, length: half };
  }

  /** v = 1 / v, element by element, and 0 for 0. */
  invert(v: Vector): void {
    this.#temporarily(v.length * ELEMENT, (prefixes) => this.#kernels.invert(v.at, v.length, prefixes));
  }

  /** sum v_i x^i */
  evaluate(v: Vector, x: bigint): bigint {
    this.#kernels.evaluate(this.#results, v.at, v.length, this.#argument(x));
    return this.#read(this.#results);
  }

  /** Coefficients of (f(t) - f(x)) / (t - x) for f = sum v_i t^i, as many as v has; the last is 0. */
  divideLinear(v: Vector, x: bigint): Vector {
    const target = this.#make(v.length);
    this.#kernels.divideLinear(target.at, v.at, v.length, this.#argument(x));
    return target;
  }

  /** Sumcheck round of sum a b over the top variable t: [c0, c2] of c0 + c1 t + c2 t^2. */
  quadraticRound(a: Vector, b: Vector): [bigint, bigint] {
    this.#sameLength(a, b);
    this.#kernels.quadraticRound(this.#results, a.at, b.at, this.#half(a));
    return [this.#read(this.#results), this.#read(this.#results + ELEMENT)];
  }

  /**
   * Sumcheck round of sum eq (h prod_j d_j - sum_j n_j prod_{i != j} d_i), with n_j = 1 when `numerators` is null. `eq` has
   * half the length of the tables: it does not depend on the bound variable. `d` holds 1, 2 or 4 tables.
   * @returns the evaluations at 0 ... 5
   */
  lookupRound(eq: Vector, h: Vector, d: readonly Vector[], numerators: readonly Vector[] | null): bigint[] {
    requireLength([1, 2, 4].includes(d.length), "a lookup has 1, 2 or 4 lanes");
    requireLength(numerators === null || numerators.length === d.length, "one numerator per lane");
    const tables = [h, ...d, ...(numerators ?? [])];
    this.#requireTables(eq, tables);
    this.#temporarily(4 * tables.length, (pointers) => {
      this.#writeWords(
        pointers,
        tables.map(({ at }) => at),
      );
      this.#kernels.lookupRound(this.#results, eq.at, pointers, d.length, numerators !== null, eq.length);
    });
    return this.#evaluations(d.length + 1);
  }

  /**
   * Sumcheck round of sum eq sum_t coefficient_t prod_f table_f, with `eq` as in `lookupRound`.
   * @returns the evaluations at 0 ... 5
   */
  termsRound(eq: Vector, tables: readonly Vector[], terms: readonly Term[]): bigint[] {
    this.#requireTables(eq, tables);
    for (const { factors } of terms)
      requireLength(factors.length < POINTS && factors.every((f) => tables[f] !== undefined), "bad factors of a term");
    const degree = terms.reduce((most, { factors }) => Math.max(most, factors.length), 0);
    const mark = this.mark();
    const coefficients = this.fromBigInts(terms.map(({ coefficient }) => coefficient));
    const words = terms.flatMap(({ coefficient, factors }, t) => [
      factors.length,
      coefficient === 1n ? 0 : coefficients.at + t * ELEMENT,
      ...factors,
    ]);
    const pointers = this.#stack.allocate(4 * tables.length);
    const program = this.#stack.allocate(4 * words.length);
    const scratch = this.#stack.allocate(2 * ELEMENT * tables.length);
    this.#writeWords(
      pointers,
      tables.map(({ at }) => at),
    );
    this.#writeWords(program, words);
    this.#kernels.termsRound(
      this.#results,
      eq.at,
      pointers,
      tables.length,
      program,
      terms.length,
      eq.length,
      scratch,
      degree + 1,
    );
    this.release(mark);
    return this.#evaluations(degree);
  }

  #make(length: number): Vector {
    return { at: this.#stack.allocate(length * ELEMENT), length };
  }

  /** Calls `use` with scratch that is free again afterwards. */
  #temporarily<Result>(bytes: number, use: (at: number) => Result): Result {
    const mark = this.mark();
    try {
      return use(this.#stack.allocate(bytes));
    } finally {
      this.release(mark);
    }
  }

  #sameLength(a: Vector, b: Vector): void {
    requireLength(a.length === b.length, `vectors of ${a.length} and ${b.length} elements`);
  }

  #half(v: Vector): number {
    requireLength(v.length >= 2 && v.length % 2 === 0, `a vector of ${v.length} elements has no halves`);
    return v.length / 2;
  }

  #quotient(cells: number, length: number): number {
    requireLength(length > 0 && cells % length === 0, `a matrix of ${cells} cells and a vector of ${length}`);
    return cells / length;
  }

  #requireTables(eq: Vector, tables: readonly Vector[]): void {
    for (const table of tables)
      requireLength(table.length === 2 * eq.length, `a table of ${table.length} with ${eq.length} equality values`);
  }

  #writeWords(at: number, words: readonly number[]): void {
    new Uint32Array(this.#stack.buffer, at, words.length).set(words);
  }

  #write(at: number, value: bigint): void {
    const limbs = new Uint32Array(this.#stack.buffer, at, LIMBS);
    let rest = (mod(value) * R) % P;
    for (let i = 0; i < LIMBS; i++) {
      limbs[i] = Number(rest & LIMB_MASK);
      rest >>= LIMB_BITS;
    }
  }

  #read(at: number): bigint {
    const limbs = new Uint32Array(this.#stack.buffer, at, LIMBS);
    let value = 0n;
    for (let i = LIMBS - 1; i >= 0; i--) value = (value << LIMB_BITS) | BigInt(limbs[i]!);
    return (value * R_INVERSE) % P;
  }

  #argument(value: bigint): number {
    this.#write(this.#scalar, value);
    return this.#scalar;
  }

  /** Six evaluations of a polynomial of which the kernel has made degree + 1; the others follow by finite differences. */
  #evaluations(degree: number): bigint[] {
    const known = Array.from({ length: degree + 1 }, (_, i) => this.#read(this.#results + i * ELEMENT));
    return extrapolate(known, POINTS);
  }
}

/** Values at 0 ... count - 1 of the polynomial of lowest degree with the given values at 0, 1, ... */
function extrapolate(known: readonly bigint[], count: number): bigint[] {
  // differences[k]: the k-th difference at the current point.
  const differences = [...known];
  for (let k = 1; k < known.length; k++)
    for (let i = known.length - 1; i >= k; i--) differences[i] = differences[i]! - differences[i - 1]!;
  return Array.from({ length: count }, () => {
    const value = mod(differences[0]!);
    for (let k = 0; k + 1 < differences.length; k++) differences[k] = differences[k]! + differences[k + 1]!;
    return value;
  });
}
