import type { TensorName } from "../circuit/circuit.ts";
import {
  add,
  GENERATOR,
  GENERATOR_G2,
  INFINITY,
  isOnCurve,
  isPairingProductOne,
  multiply,
  negate,
  type Point as CurvePoint,
} from "../field/curve.ts";
import { mod, P } from "../field/fr.ts";
import { BLINDING_POINT } from "../hiding/blinders.ts";
import type { Claim, Point } from "../script/backend.ts";
import { Core, type CoreOptions, foldEvaluations } from "../script/core.ts";
import type { ProofKey } from "../script/key.ts";
import { DEVELOPMENT_CHAIN, Rejection } from "../script/rejection.ts";
import { runScript } from "../script/script.ts";
import { decodePublicPart, publicBytes, readPoint, type Statement, type StatementHeader } from "../script/statement.ts";
import { unword } from "../script/transcript.ts";

/**
 * Checks a proof. Agrees with the generated contract on every input.
 * @throws Rejection naming the check that failed
 */
export async function verify(
  key: ProofKey,
  header: StatementHeader,
  proof: Uint8Array,
  options: CoreOptions = {},
): Promise<void> {
  if (!key.circuit.settings.hiding && header.chainId !== DEVELOPMENT_CHAIN && options.omitted?.has("chain") !== true)
    throw new Rejection("chain");
  const statement = decodePublicPart(key, header, proof, options.omitted);
  await runScript(new Verifier(key, statement, proof, options));
}

/** A point that is none counts nothing: only a test that leaves the check "precompile" out gets here with one. */
const times = (point: CurvePoint, k: bigint): CurvePoint => (isOnCurve(point) ? multiply(point, k) : INFINITY);

class Verifier extends Core {
  readonly #proof: Uint8Array;
  #at: number;
  readonly #points = new Map<string, readonly CurvePoint[]>();

  constructor(key: ProofKey, statement: Statement, proof: Uint8Array, options: CoreOptions) {
    super(key, statement, options);
    this.#proof = proof;
    this.#at = publicBytes(key.circuit);
    for (const [name, points] of statement.points) this.#points.set(name, points);
    this.#points.set("exponentials", key.exponentials);
  }

  commitments(tensors: readonly TensorName[]): void {
    const blocks = tensors.map((tensor) => this.circuit.tensors.find(({ name }) => name === tensor)!.blocks);
    const points = this.#readPoints(blocks.reduce((a, b) => a + b, 0));
    let at = 0;
    tensors.forEach((tensor, i) => {
      this.#points.set(tensor, points.slice(at, at + blocks[i]!));
      at += blocks[i]!;
    });
  }

  protected message(_id: string, count: number): bigint[] {
    return Array.from({ length: count }, () => {
      const value = unword(this.#take(32));
      if (value >= P && !this.omitted.has("scalar range")) throw new Rejection("scalar range");
      return value;
    });
  }

  protected bound(): void {
    // a verifier keeps no tables
  }

  claims(_claims: readonly Claim<bigint>[], _weights: Point<bigint>): void {
    // only a prover needs the dense weights
  }

  blockClaims(): void {
    // only a prover needs the dense weights
  }

  combine(): void {
    // only a prover knows blinders
  }

  assertEqual(a: bigint, b: bigint, name: string): void {
    if (mod(a - b) !== 0n && !this.omitted.has(name)) throw new Rejection(name);
  }

  open(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>, value: bigint, blinder: bigint | null): void {
    const { blockBits } = this.circuit.settings;
    const folds = this.#readPoints(blockBits - 1);
    const r = this.transcript.draw();
    const words = this.words("evaluations", Array<string>(2 * blockBits + 1).fill(""), { clear: "blind" });
    const powers = this.powers(this.transcript.draw(), blockBits);
    const kappa = this.words("kappa", ["kappa"], { clear: "blind" })[0]!;
    const [quotient] = this.#readPoints(1) as [CurvePoint];
    const z = this.transcript.draw();
    const [witness] = this.#readPoints(1) as [CurvePoint];
    const r2 = (r * r) % P;
    const { even, odd, atSquare, last } = foldEvaluations(words, rho, powers, blockBits);
    this.assertEqual(last, value, "opening fold");
    this.assertEqual(even + odd * r2 + kappa * (r2 * r2 - r2), atSquare, "opening interpolation");
    const interpolated = mod(even + odd * z + kappa * (z * z - r2));
    const vanishing = mod((z * z - r2) * (z - r2));
    let sum = this.#combination(rho, coefficients);
    if (blinder !== null) sum = add(sum, multiply(BLINDING_POINT, mod(-blinder)));
    folds.forEach((fold, i) => (sum = add(sum, times(fold, powers.at(i + 1)))));
    sum = add(sum, multiply(GENERATOR, mod(-interpolated)));
    sum = add(sum, times(quotient, mod(-vanishing)));
    sum = add(sum, times(witness, z));
    const pairs = [
      { g1: sum, g2: GENERATOR_G2 },
      { g1: negate(witness), g2: this.key.tau2 },
    ];
    if (!this.omitted.has("pairing") && !isPairingProductOne(pairs)) throw new Rejection("pairing");
  }

  end(): void {
    if (this.#at !== this.#proof.length && !this.omitted.has("length")) throw new Rejection("length");
  }

  /** Commitment of the polynomial that is opened: every tensor with its blocks bound at the high coordinates. */
  #combination(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>): CurvePoint {
    const { blockBits } = this.circuit.settings;
    let sum = INFINITY;
    for (const { name, vars } of this.circuit.tensors) {
      this.#points.get(name)!.forEach((point, i) => {
        const weight = this.mul(coefficients.get(name)!, this.bits(rho, blockBits, vars - blockBits, i));
        sum = add(sum, times(point, weight));
      });
    }
    return sum;
  }

  #readPoints(count: number): CurvePoint[] {
    const points = Array.from({ length: count }, () => readPoint(this.#take(64), this.omitted));
    this.transcript.absorb(points.flatMap(({ x, y }) => [x, y]));
    return points;
  }

  #take(bytes: number): Uint8Array {
    if (this.#at + bytes > this.#proof.length) throw new Rejection("length");
    this.#at += bytes;
    return this.#proof.subarray(this.#at - bytes, this.#at);
  }
}
