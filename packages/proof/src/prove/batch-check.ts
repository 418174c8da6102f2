import { DataError } from "../errors.ts";
import type { Inputs } from "../executor.ts";
import { blind, type Blinders } from "../hiding/blinders.ts";
import { equalPoints, type Point as CurvePoint } from "../field/curve.ts";
import type { Committer } from "../vectors/committer.ts";
import { createCommitter } from "../vectors/committer.ts";
import type { FieldVectors, Vector } from "../vectors/field-vectors.ts";
import { kernelPoints } from "../vectors/points.ts";

/** A batch in plain text and the commitments that it should open. */
export interface CommittedBatch {
  readonly x: Inputs;
  readonly labels: Uint8Array;
  readonly points: readonly CurvePoint[];
  readonly blinders: Blinders;
}

/** Batches that are added up in one pass over the kernels. */
const GROUP = 16;
/** Random coefficients of 128 bits: a wrong batch passes with probability 2^-128. */
const COEFFICIENT_BYTES = 16;

/**
 * Checks many batches against their commitments at once: sum_k r_k batch_k must open sum_k r_k C_k for random r_k. One
 * commitment instead of one per batch.
 */
export class BatchCheck {
  readonly #vectors: FieldVectors;
  readonly #random: (bytes: number) => Uint8Array;
  readonly #sum: Vector;
  readonly #cells: number;
  readonly #mark: number;
  readonly #coefficients: bigint[] = [];
  readonly #points: (readonly CurvePoint[])[] = [];
  readonly #blinders: Blinders[] = [];
  #group: Int32Array[] = [];

  constructor(vectors: FieldVectors, cells: number, random: (bytes: number) => Uint8Array) {
    this.#vectors = vectors;
    this.#random = random;
    this.#cells = cells;
    this.#mark = vectors.mark();
    this.#sum = vectors.zeros(cells);
  }

  add(cells: Int32Array, points: readonly CurvePoint[], blinders: Blinders): void {
    this.#group.push(cells);
    this.#points.push(points);
    this.#blinders.push(blinders);
    this.#coefficients.push(this.#random(COEFFICIENT_BYTES).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n));
    if (this.#group.length === GROUP) this.#addGroup();
  }

  #addGroup(): void {
    if (this.#group.length === 0) return;
    const vectors = this.#vectors;
    const all = new Int32Array(this.#group.length * this.#cells);
    this.#group.forEach((cells, k) => all.set(cells, k * this.#cells));
    const mark = vectors.mark();
    const weights = vectors.fromBigInts(this.#coefficients.slice(-this.#group.length));
    vectors.add(this.#sum, vectors.integerColumnDots(all, weights));
    vectors.release(mark);
    this.#group = [];
  }

  /** @throws DataError `BadBatch` when some batch does not open its commitments */
  async finish(committer: Committer, blockSize: number): Promise<void> {
    const vectors = this.#vectors;
    try {
      this.#addGroup();
      const blocks = Math.ceil(this.#cells / blockSize);
      const jobs = Array.from({ length: blocks }, (_, i) => {
        const length = Math.min(blockSize, this.#cells - i * blockSize);
        return { words: vectors.toWords(vectors.slice(this.#sum, i * blockSize, length)) };
      });
      const words = vectors.toWords(vectors.fromBigInts(this.#coefficients));
      const actual = await committer.commit(jobs);
      for (let i = 0; i < blocks; i++) {
        const sums = await createCommitter({ points: kernelPoints(this.#points.map((points) => points[i]!)) });
        const [expected] = await sums.commit([{ words }]);
        await sums.close();
        const blinder = this.#coefficients.reduce((sum, r, k) => sum + r * this.#blinders[k]![i]!, 0n);
        if (!equalPoints(blind(actual[i]!, blinder), expected!))
          throw new DataError("BadBatch", "a batch is not the one that was committed to", {
            hint: "The data of this job are damaged or the requester is dishonest: do not join it.",
          });
      }
    } finally {
      vectors.release(this.#mark);
    }
  }
}
