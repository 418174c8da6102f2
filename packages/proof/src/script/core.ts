import type { Circuit, TensorName } from "../circuit/circuit.ts";
import { mod, P } from "../field/fr.ts";
import type { Backend, Claim, Point } from "./backend.ts";
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

export interface CoreOptions {
  readonly omitted?: ReadonlySet<string>;
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
  protected readonly transcript: Transcript;

  constructor(key: ProofKey, statement: Statement, { omitted = new Set() }: CoreOptions = {}) {
    this.key = key;
    this.circuit = key.circuit;
    this.statement = statement;
    this.omitted = omitted;
    this.transcript = new Transcript(key.transcriptKey);
  }

  constant(value: bigint): bigint {
    return mod(value);
  }
  add(a: bigint, b: bigint): bigint {
    return mod(a + b);
  }
  sub(a: bigint, b: bigint): bigint {
    return mod(a - b);
  }
  mul(a: bigint, b: bigint): bigint {
    return (a * b) % P;
  }
  keep(value: bigint): bigint {
    return value;
  }

  begin(): void {
    this.transcript.absorb(statementWords(this.statement));
  }

  abstract commitments(tensors: readonly TensorName[]): Promise<void> | void;
  protected abstract message(id: string, count: number, round: number): bigint[];
  protected abstract bound(id: string, round: number, x: bigint): void;
  abstract assertEqual(a: bigint, b: bigint, name: string): void;
  abstract claims(claims: readonly Claim<bigint>[], weights: Point<bigint>): void;
  abstract open(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>, value: bigint): Promise<void> | void;
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

  words(id: string, names: readonly string[]): bigint[] {
    const values = this.message(id, names.length, -1);
    this.transcript.absorb(values);
    return values;
  }

  zeroSumcheck(point: Point<bigint>, vars: number, tau: Point<bigint>): bigint {
    let claim = 0n;
    for (let j = vars - 1; j >= 0; j--) {
      const coefficients = this.message("zerocheck", ZEROCHECK_DEGREE, j);
      const high = coefficients.reduce((total, value) => total + value, 0n);
      const low = mod(claim - tau.at(j) * high);
      this.transcript.absorb(coefficients);
      const x = this.transcript.draw();
      (point as Coordinates).values[j] = x;
      const rest = coefficients.reduceRight((total, value) => mod((total + value) * x), 0n);
      claim = mod(rest + low);
      this.bound("zerocheck", j, x);
    }
    return claim;
  }

  productSumcheck(id: string, point: Point<bigint>, vars: number, start: bigint): bigint {
    let claim = start;
    for (let j = vars - 1; j >= 0; j--) {
      const [c0, c2] = this.message(id, 2, j) as [bigint, bigint];
      this.transcript.absorb([c0, c2]);
      const x = this.transcript.draw();
      (point as Coordinates).values[j] = x;
      claim = mod((c2 * x + claim - 2n * c0 - c2) * x + c0);
      this.bound(id, j, x);
    }
    return claim;
  }

  equality(a: Point<bigint>, i: number, b: Point<bigint>, j: number, vars: number): bigint {
    let value = 1n;
    for (let k = 0; k < vars; k++) value = (value * equalityBit(a.at(i + k), b.at(j + k))) % P;
    return value;
  }

  prefixEquality(a: Point<bigint>, i: number, b: Point<bigint>, j: number, vars: number, count: number): bigint {
    if (count >= 2 ** vars) return this.equality(a, i, b, j, vars);
    let inside = 0n;
    let all = 1n;
    for (let k = 0; k < vars; k++) {
      const [x, y] = [a.at(i + k), b.at(j + k)];
      const low = mod((1n - x) * (1n - y));
      const high = (x * y) % P;
      inside = (count >> k) & 1 ? mod(low * all + high * inside) : (low * inside) % P;
      all = (all * (low + high)) % P;
    }
    return inside;
  }

  prefix(a: Point<bigint>, i: number, vars: number, count: number): bigint {
    if (count >= 2 ** vars) return 1n;
    let inside = 0n;
    for (let k = 0; k < vars; k++) {
      const x = a.at(i + k);
      inside = (count >> k) & 1 ? mod(1n - x + x * inside) : mod((1n - x) * inside);
    }
    return inside;
  }

  bits(a: Point<bigint>, i: number, vars: number, value: number): bigint {
    let result = 1n;
    for (let k = 0; k < vars; k++) {
      const x = a.at(i + k);
      result = (result * (Math.floor(value / 2 ** k) % 2 === 1 ? x : mod(1n - x))) % P;
    }
    return result;
  }

  index(a: Point<bigint>, vars: number): bigint {
    let value = 0n;
    for (let k = 0; k < vars; k++) value += a.at(k) << BigInt(k);
    return mod(value);
  }

  powers(base: bigint, count: number): Coordinates {
    const values = [1n];
    while (values.length < count) values.push((values.at(-1)! * base) % P);
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
    const samples = equalityTable(Array.from({ length: batchVars }, (_, k) => a.at(batchFrom + k)));
    const cells = equalityTable(Array.from({ length: unitVars }, (_, k) => b.at(unitFrom + k)));
    let total = 0n;
    for (let s = 0; s < batch; s++)
      for (let u = 0; u < units; u++) total += BigInt(values[s * units + u]!) * ((samples[s]! * cells[u]!) % P);
    return mod(total);
  }
}

/** Degree of the zerocheck's inner polynomial: a helper times four denominators. */
export const ZEROCHECK_DEGREE = 5;

const equalityBit = (x: bigint, y: bigint): bigint => mod(1n - x - y + 2n * x * y);

/** eq(point, index) for all indices, lowest bit first. */
export function equalityTable(point: readonly bigint[]): bigint[] {
  let table = [1n];
  for (const x of point) {
    const high = table.map((value) => (value * x) % P);
    table = [...table.map((value, i) => mod(value - high[i]!)), ...high];
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
