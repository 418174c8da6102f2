// Commitments: multi-scalar multiplications against a reference string, on several threads.
import { ProofError } from "../errors.ts";
import { add, INFINITY, type Point } from "../field/curve.ts";
import type { KernelSource } from "../kernels.ts";
import type { FieldVectors, Vector } from "./field-vectors.ts";
import { instantiateProofKernels, type ProofInstance } from "./kernels.ts";
import { Multiexp, SCALAR_WORDS, type Scalars, scalarCount } from "./multiexp.ts";
import { POINT_WORDS } from "./points.ts";
import { canShare, type Piece, Thread } from "./threads.ts";

export interface CommitterOptions {
  /** Points in kernel form (18 words each): `ReferenceString.points`. */
  readonly points: Uint32Array;
  /** Threads, this one included. With 1, or without shared memory, all work runs on the calling thread. */
  readonly threads?: number;
  /** `proof.wasm`; Node finds it alone. */
  readonly kernels?: KernelSource;
}

export interface CommitOptions {
  readonly signal?: AbortSignal;
}

/** Least points of a piece: smaller pieces waste more on buckets than they gain. */
const LEAST_PIECE = 1024;

/** A field element costs as much as this many small integers. */
const WORDS_COST = 16;

/** Small integers that the calling thread multiplies without a pause: some 50 ms. A timer may wait 4 ms. */
const BREATH = 2 ** 16;

interface Task extends Piece {
  readonly job: number;
  readonly cost: number;
}

/**
 * Commits to vectors of scalars k: sum_i k_i P_i over the points of a reference string.
 * @throws DataError `BadKernels`, ProofError `OutOfMemory` or `WorkerFailed`
 * @example
 * const committer = await createCommitter({ points: srs.points, threads: 4 });
 * const [weights, quotient] = await committer.commit([{ integers }, { words: vectors.toWords(v) }]);
 * await committer.close();
 */
export async function createCommitter(options: CommitterOptions): Promise<Committer> {
  const instance = await instantiateProofKernels(options.kernels);
  const threads = canShare() ? Math.max(1, Math.floor(options.threads ?? 1)) : 1;
  return Committer.start(instance, options.points, threads);
}

export class Committer {
  readonly #local: Multiexp;
  readonly #threads: readonly Thread[];
  readonly #length: number;

  private constructor(local: Multiexp, threads: readonly Thread[], length: number) {
    this.#local = local;
    this.#threads = threads;
    this.#length = length;
  }

  /** Starts all threads; when one fails, ends them all. */
  static async start(instance: ProofInstance, points: Uint32Array, count: number): Promise<Committer> {
    const local = new Multiexp(instance, points);
    const shared = count > 1 ? share(points) : points;
    const threads = Array.from({ length: count - 1 }, () => new Thread());
    const committer = new Committer(local, threads, points.length / POINT_WORDS);
    try {
      await Promise.all(threads.map((thread) => thread.request({ module: instance.module, points: shared })));
    } catch (error) {
      await committer.close();
      throw error;
    }
    return committer;
  }

  /** Points of the reference string: the most scalars of one commitment. */
  get length(): number {
    return this.#length;
  }

  /**
   * One commitment per job; job i takes the first points of the reference string.
   * @throws ProofError `BadVector` for more scalars than points, `OutOfMemory`, `WorkerFailed`; the signal's reason
   */
  async commit(jobs: readonly Scalars[], { signal }: CommitOptions = {}): Promise<Point[]> {
    signal?.throwIfAborted();
    for (const job of jobs) this.#check(job);
    const shares = this.#deal(jobs);
    const remote = this.#threads.map((thread, t) => {
      const pieces = shares[t + 1]!;
      return pieces.length === 0
        ? []
        : thread.request({ pieces: pieces.map(({ scalars, offset }) => ({ scalars, offset })) });
    });
    const all = Promise.all(remote);
    // The calling thread works before it waits: a refusal meanwhile is handled below, not reported as unhandled.
    all.catch(() => {});
    const sums = [await this.#work(shares[0]!, signal), ...(await all)];
    signal?.throwIfAborted();
    const points = jobs.map(() => INFINITY);
    shares.forEach((tasks, t) =>
      tasks.forEach(({ job }, i) => {
        points[job] = add(points[job]!, sums[t]![i]!);
      }),
    );
    return points;
  }

  /** Commitment to signed integers below 2^53 in magnitude. */
  async commitIntegers(
    integers: Int8Array | Int16Array | Int32Array | Float64Array,
    options?: CommitOptions,
  ): Promise<Point> {
    return (await this.commit([{ integers }], options))[0]!;
  }

  /** Commitment to a vector of field elements. */
  async commitVector(vectors: FieldVectors, v: Vector, options?: CommitOptions): Promise<Point> {
    return (await this.commit([{ words: vectors.toWords(v) }], options))[0]!;
  }

  /** Ends the threads; calls in flight are refused. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #check(job: Scalars): void {
    const n = scalarCount(job);
    if (!Number.isInteger(n)) throw new ProofError("BadVector", `${SCALAR_WORDS} words per scalar are needed`);
    if (n > this.#length)
      throw new ProofError("BadVector", `${n} scalars for a reference string of ${this.#length} points`);
  }

  /** Work of the calling thread. It lets other tasks run, and looks at the signal, after every `BREATH` of cost. */
  async #work(tasks: readonly Task[], signal: AbortSignal | undefined): Promise<Point[]> {
    const sums: Point[] = [];
    let cost = 0;
    for (const task of tasks) {
      sums.push(this.#local.multiply(task.scalars, task.offset));
      cost += task.cost;
      if (cost < BREATH) continue;
      cost = 0;
      await new Promise((resolve) => setTimeout(resolve));
      signal?.throwIfAborted();
    }
    return sums;
  }

  /** Cuts large jobs and deals the pieces by cost, the most expensive first, to the thread with the least work. */
  #deal(jobs: readonly Scalars[]): Task[][] {
    const shares = Array.from({ length: this.#threads.length + 1 }, () => ({ cost: 0, tasks: [] as Task[] }));
    const fair = Math.max(1, jobs.reduce((sum, job) => sum + costOf(job), 0) / shares.length);
    const tasks = jobs.flatMap((scalars, job) =>
      shares.length === 1
        ? [{ scalars, offset: 0, job, cost: costOf(scalars) }]
        : cut(scalars, Math.ceil(costOf(scalars) / fair)).map((piece) => ({
            ...piece,
            job,
            cost: costOf(piece.scalars),
          })),
    );
    for (const task of tasks.sort((a, b) => b.cost - a.cost)) {
      const share = shares.reduce((least, candidate) => (candidate.cost < least.cost ? candidate : least));
      share.cost += task.cost;
      share.tasks.push(task);
    }
    return shares.map(({ tasks }) => tasks);
  }
}

const costOf = (scalars: Scalars): number => scalarCount(scalars) * ("integers" in scalars ? 1 : WORDS_COST);

/** Cuts scalars, moved to shared memory, into at most `wanted` pieces. */
function cut(scalars: Scalars, wanted: number): Piece[] {
  const n = scalarCount(scalars);
  const length = Math.max(Math.ceil(n / Math.max(1, wanted)), Math.min(n, LEAST_PIECE), 1);
  const whole: Scalars =
    "integers" in scalars ? { integers: share(scalars.integers) } : { words: share(scalars.words) };
  return Array.from({ length: Math.ceil(n / length) }, (_, i) => {
    const [start, end] = [i * length, Math.min(n, (i + 1) * length)];
    return {
      offset: start,
      scalars:
        "integers" in whole
          ? { integers: whole.integers.subarray(start, end) }
          : { words: whole.words.subarray(start * SCALAR_WORDS, end * SCALAR_WORDS) },
    };
  });
}

/** The same numbers in shared memory. */
function share<Numbers extends Int8Array | Int16Array | Int32Array | Uint32Array | Float64Array>(
  values: Numbers,
): Numbers {
  if (values.buffer instanceof SharedArrayBuffer) return values;
  const Type = values.constructor as new (buffer: SharedArrayBuffer) => Numbers;
  const copy = new Type(new SharedArrayBuffer(values.byteLength));
  copy.set(values);
  return copy;
}
