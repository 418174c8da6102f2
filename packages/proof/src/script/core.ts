import type { Circuit, TensorName } from "../circuit/circuit.ts";
import { mod, P } from "../field/fr.ts";
import type { Backend, Claim, ClaimTerm, Point, RoundPads } from "./backend.ts";
import type { Hiding } from "./hiding.ts";
import type { ProofKey } from "./key.ts";
import { statementWords, type Statement } from "./statement.ts";
import { Transcript } from "./transcript.ts";

/** A point with its coordinates. */
export class Coordinates implements Point<bigint> {
  readonly id: string;
  readonly values: bigint[];

  constructor(id: string, values: bigint[]) {
    this.id = id;
    this.values = values;
  }

  at(i: number): bigint {
    return this.values[i]!;
  }
}

/** What answers for the hash function: the transcript, or in tests a list of challenges. */
export type Oracle = Pick<Transcript, "absorb" | "draw">;

export interface CoreOptions {
  readonly omitted?: ReadonlySet<string>;
  readonly transcript?: Oracle;
  /** A prime; tests of zero knowledge run over a small one. */
  readonly modulus?: bigint;
}

/**
 * Arithmetic and transcript of the script over plain integers: what verifier and prover have in common. Messages come
 * from `message`, which a verifier reads and a prover computes; they are absorbed here, before the script sees them.
 */
export abstract class Core implements Backend<bigint> {
  readonly circuit: Circuit;
  readonly omitted: ReadonlySet<string>;
  protected readonly key: ProofKey;
  protected readonly statement: Statement;
  protected readonly transcript: Oracle;
  protected readonly modulus: bigint;

  constructor(key: ProofKey, statement: Statement, { omitted = new Set(), transcript, modulus = P }: CoreOptions = {}) {
    this.key = key;
    this.circuit = key.circuit;
    this.statement = statement;
    this.omitted = omitted;
    this.transcript = transcript ?? new Transcript(key.transcriptKey);
    this.modulus = modulus;
  }

  protected mod(value: bigint): bigint {
    return mod(value, this.modulus);
  }

  constant(value: bigint): bigint {
    return this.mod(value);
  }
  add(a: bigint, b: bigint): bigint {
    return this.mod(a + b);
  }
  sub(a: bigint, b: bigint): bigint {
    return this.mod(a - b);
  }
  mul(a: bigint, b: bigint): bigint {
    return (a * b) % this.modulus;
  }
  keep(value: bigint): bigint {
    return value;
  }

  begin(): void {
    this.transcript.absorb(statementWords(this.statement));
  }

  abstract commitments(tensors: readonly TensorName[]): Promise<void> | void;
  protected abstract message(id: string, count: number, round: number, hiding: Hiding): bigint[];
  protected abstract bound(id: string, round: number, x: bigint): void;
  abstract assertEqual(a: bigint, b: bigint, name: string): void;
  abstract claims(claims: readonly Claim<bigint>[], weights: Point<bigint>): void;
  abstract blockClaims(terms: readonly ClaimTerm<bigint>[]): void;
  abstract combine(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>): void;
  abstract open(
    rho: Point<bigint>,
    coefficients: ReadonlyMap<TensorName, bigint>,
    value: bigint,
    blinder: bigint | null,
  ): Promise<void> | void;
  abstract end(): void;

  challenges(id: string, count: number): Coordinates {
    return new Coordinates(
      id,
      Array.from({ length: count }, () => this.transcript.draw()),
    );
  }

  point(id: string, vars: number): Coordinates {
    return new Coordinates(id, Array<bigint>(vars).fill(0n));
  }

  extend(point: Point<bigint>, from: number, count: number): void {
    for (let i = from; i < from + count; i++) (point as Coordinates).values[i] = this.transcript.draw();
  }

  words(id: string, names: readonly string[], hiding: Hiding): bigint[] {
    if (names.length === 0) return [];
    this.#checkPads(id, hiding, names.length);
    const values = this.message(id, names.length, -1, hiding);
    this.transcript.absorb(values);
    return values;
  }

  /** Every hidden scalar has its own pad. */
  #checkPads(id: string, hiding: Hiding, count: number): void {
    if (this.circuit.pads !== null && "pads" in hiding && new Set(hiding.pads).size !== count)
      throw new Error(`the message ${id} has ${count} scalars and pads for ${new Set(hiding.pads).size}`);
  }

  zeroSumcheck(
    id: string,
    degree: number,
    point: Point<bigint>,
    vars: number,
    tau: Point<bigint>,
    hiding: Hiding,
  ): bigint {
    this.#checkPads(id, hiding, degree * vars);
    let claim = 0n;
    for (let j = vars - 1; j >= 0; j--) {
      const coefficients = this.message(id, degree, j, partOf(hiding, degree * (vars - 1 - j), degree));
      this.transcript.absorb(coefficients);
      const x = this.transcript.draw();
      (point as Coordinates).values[j] = x;
      claim = zeroRound(claim, coefficients, tau.at(j), x, this.modulus);
      this.bound(id, j, x);
    }
    return claim;
  }

  productSumcheck(
    id: string,
    point: Point<bigint>,
    top: number,
    bottom: number,
    start: bigint,
    hiding: Hiding,
  ): bigint {
    this.#checkPads(id, hiding, 2 * (top - bottom));
    let claim = start;
    for (let j = top - 1; j >= bottom; j--) {
      const coefficients = this.message(id, 2, j, partOf(hiding, 2 * (top - 1 - j), 2)) as [bigint, bigint];
      this.transcript.absorb(coefficients);
      const x = this.transcript.draw();
      (point as Coordinates).values[j] = x;
      claim = productRound(claim, coefficients, x, this.modulus);
      this.bound(id, j, x);
    }
    return claim;
  }

  equality(a: Point<bigint>, i: number, b: Point<bigint>, j: number, vars: number): bigint {
    let value = 1n;
    for (let k = 0; k < vars; k++) value = (value * equalityBit(a.at(i + k), b.at(j + k), this.modulus)) % this.modulus;
    return value;
  }

  prefixEquality(a: Point<bigint>, i: number, b: Point<bigint>, j: number, vars: number, count: number): bigint {
    if (count >= 2 ** vars) return this.equality(a, i, b, j, vars);
    let inside = 0n;
    let all = 1n;
    for (let k = 0; k < vars; k++) {
      const [x, y] = [a.at(i + k), b.at(j + k)];
      const low = this.mod((1n - x) * (1n - y));
      const high = (x * y) % this.modulus;
      inside = (count >> k) & 1 ? this.mod(low * all + high * inside) : (low * inside) % this.modulus;
      all = (all * (low + high)) % this.modulus;
    }
    return inside;
  }

  prefix(a: Point<bigint>, i: number, vars: number, count: number): bigint {
    if (count >= 2 ** vars) return 1n;
    let inside = 0n;
    for (let k = 0; k < vars; k++) {
      const x = a.at(i + k);
      inside = (count >> k) & 1 ? this.mod(1n - x + x * inside) : this.mod((1n - x) * inside);
    }
    return inside;
  }

  bits(a: Point<bigint>, i: number, vars: number, value: number): bigint {
    let result = 1n;
    for (let k = 0; k < vars; k++) {
      const x = a.at(i + k);
      result = (result * (Math.floor(value / 2 ** k) % 2 === 1 ? x : this.mod(1n - x))) % this.modulus;
    }
    return result;
  }

  index(a: Point<bigint>, vars: number): bigint {
    let value = 0n;
    for (let k = 0; k < vars; k++) value += a.at(k) << BigInt(k);
    return this.mod(value);
  }

  equalityTable(a: Point<bigint>, vars: number): Coordinates {
    return new Coordinates(
      "table",
      equalityTable(
        Array.from({ length: vars }, (_, k) => a.at(k)),
        this.modulus,
      ),
    );
  }

  /** A claim is linear in the messages: their part of it is the same computation over the table, from zero. */
  roundPads({ kind, from, degree, top, bottom, point, tau }: RoundPads<bigint>, table: Point<bigint>): bigint {
    let value = 0n;
    for (let j = top - 1; j >= bottom; j--) {
      const cells = Array.from({ length: degree }, (_, i) => table.at(from + degree * (top - 1 - j) + i));
      value =
        kind === "zeroRounds"
          ? zeroRound(value, cells, tau!.at(j), point.at(j), this.modulus)
          : productRound(value, cells as [bigint, bigint], point.at(j), this.modulus);
    }
    return value;
  }

  powers(base: bigint, count: number): Coordinates {
    const values = [1n];
    while (values.length < count) values.push((values.at(-1)! * base) % this.modulus);
    return new Coordinates("", values);
  }

  publicTensor(
    name: "input" | "output",
    a: Point<bigint>,
    batchFrom: number,
    b: Point<bigint>,
    unitFrom: number,
  ): bigint {
    const { batch, batchVars, layers } = this.circuit;
    const units = name === "input" ? layers[0]!.inputs : layers.at(-1)!.outputs;
    const unitVars = name === "input" ? layers[0]!.rowVars : layers.at(-1)!.columnVars;
    const values = name === "input" ? this.statement.publicInput! : this.statement.publicOutput!;
    const samples = equalityTable(
      Array.from({ length: batchVars }, (_, k) => a.at(batchFrom + k)),
      this.modulus,
    );
    const cells = equalityTable(
      Array.from({ length: unitVars }, (_, k) => b.at(unitFrom + k)),
      this.modulus,
    );
    let total = 0n;
    for (let s = 0; s < batch; s++)
      for (let u = 0; u < units; u++)
        total += BigInt(values[s * units + u]!) * ((samples[s]! * cells[u]!) % this.modulus);
    return this.mod(total);
  }
}

const partOf = (hiding: Hiding, from: number, count: number): Hiding =>
  "pads" in hiding ? { pads: hiding.pads.slice(from, from + count) } : hiding;

/** t(x) with the coefficients t_1 ... t_degree and t_0 = claim - tau (t_1 + ...). */
function zeroRound(claim: bigint, coefficients: readonly bigint[], tau: bigint, x: bigint, p: bigint): bigint {
  const high = coefficients.reduce((total, value) => total + value, 0n);
  const rest = coefficients.reduceRight((total, value) => mod((total + value) * x, p), 0n);
  return mod(rest + claim - tau * high, p);
}

/** c_0 + c_1 x + c_2 x^2 with c_1 = claim - 2 c_0 - c_2. */
const productRound = (claim: bigint, [c0, c2]: readonly [bigint, bigint], x: bigint, p: bigint): bigint =>
  mod((c2 * x + claim - 2n * c0 - c2) * x + c0, p);

/** Weights of the pads of a sumcheck's messages: those of `Core.roundPads`, one for each pad. */
export function roundWeights({ kind, degree, top, bottom, point, tau }: RoundPads<bigint>, p: bigint = P): bigint[] {
  let weights: bigint[] = [];
  for (let j = top - 1; j >= bottom; j--) {
    const x = point.at(j);
    const units = Array.from({ length: degree }, (_, i) =>
      Array.from({ length: degree }, (_, k) => (i === k ? 1n : 0n)),
    );
    if (kind === "zeroRounds") weights.push(...units.map((unit) => zeroRound(0n, unit, tau!.at(j), x, p)));
    else
      weights = [
        ...weights.map((weight) => (weight * x) % p),
        ...units.map((unit) => productRound(0n, unit as [bigint, bigint], x, p)),
      ];
  }
  return weights;
}

const equalityBit = (x: bigint, y: bigint, p: bigint): bigint => mod(1n - x - y + 2n * x * y, p);

/** eq(point, index) for all indices, lowest bit first. */
export function equalityTable(point: readonly bigint[], p: bigint = P): bigint[] {
  let table = [1n];
  for (const x of point) {
    const high = table.map((value) => (value * x) % p);
    table = [...table.map((value, i) => mod(value - high[i]!, p)), ...high];
  }
  return table;
}

/** The values that the opening's checks need from what the prover sends: see docs/proof-system.md, "Opening". */
export function foldEvaluations(
  words: readonly bigint[],
  rho: Point<bigint>,
  powers: Point<bigint>,
  vars: number,
): { even: bigint; odd: bigint; atSquare: bigint; last: bigint } {
  let [even, odd, atSquare, value] = [0n, 0n, 0n, words[2 * vars]!];
  for (let i = 0; i < vars; i++) {
    const q = powers.at(i);
    const [e, o] = [words[2 * i]!, words[2 * i + 1]!];
    even += q * e;
    odd += q * o;
    atSquare += q * value;
    value = mod(e + rho.at(i) * (o - e));
  }
  return { even: mod(even), odd: mod(odd), atSquare: mod(atSquare), last: value };
}
