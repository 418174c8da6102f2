import { type Hex, SkyNetError, word } from "@skynet/protocol";
import type { Circuit, TensorName } from "../circuit/circuit.ts";
import { DataError } from "../errors.ts";
import type { Inputs, StepTrace } from "../executor.ts";
import { add, type Point as CurvePoint, type PointG2 } from "../field/curve.ts";
import type { KernelSource } from "../kernels.ts";
import { makeKey, type ProofKey } from "../script/key.ts";
import { drawSecrets } from "../hiding/secrets.ts";
import { freshRandomness, type RandomBytes, systemRandom } from "../hiding/randomness.ts";
import {
  inputId,
  outputId,
  pointsId,
  type Statement,
  type StatementHeader,
  statementWords,
} from "../script/statement.ts";
import { blind, blindAll, type Blinders, noBlinders } from "../hiding/blinders.ts";
import { type Committer, createCommitter } from "../vectors/committer.ts";
import { FieldVectors } from "../vectors/field-vectors.ts";
import { verify } from "../verify/verify.ts";
import { BatchCheck, type CommittedBatch } from "./batch-check.ts";
import { prove, type ProveOptions } from "./prover.ts";
import {
  columnsOf,
  layOut,
  layOutBatch,
  layOutInput,
  layOutWeights,
  logitCells,
  logitsOf,
  setInputColumns,
  type Witness,
} from "./witness.ts";

/** The part of a reference string that a circuit needs: 2^blockBits points. */
export interface StringPart {
  /** Points in kernel form, 18 words each. */
  readonly points: Uint32Array;
  readonly g2Tau: PointG2;
  readonly hash: Hex;
}

export interface ProofSystemOptions {
  readonly threads?: number;
  /** A cryptographic generator; the system's by default. */
  readonly random?: RandomBytes;
  readonly kernels?: { readonly executor?: KernelSource; readonly proof?: KernelSource };
}

/** Points of a tensor, one per block, with the blinders that hide it. */
export interface Commitment {
  readonly points: readonly CurvePoint[];
  readonly blinders: Blinders;
}

/** What a step proves beside its header: the ids in the header must be those of these tensors. */
export interface StepWitness {
  readonly before: readonly Int32Array[];
  readonly after: readonly Int32Array[];
  readonly beforeCommitment: Commitment;
  readonly afterCommitment: Commitment;
  readonly x: Inputs;
  readonly labels: Uint8Array;
  readonly batchCommitment: Commitment;
  /** What the executor computed from `before`. */
  readonly trace: StepTrace;
}

/** What an inference proves: `commitment` is that of `weights`, `trace` comes from an executor with them. */
export interface InferenceWitness {
  readonly weights: readonly Int32Array[];
  readonly commitment: Commitment;
  readonly x: Inputs;
  /** Of `x`, where somebody else committed to the input; a new one is made otherwise. */
  readonly input?: Commitment | undefined;
  readonly trace: StepTrace;
}

export type Header = Omit<StatementHeader, "idIn" | "idOut" | "idData">;

/**
 * Commits, proves and verifies for one circuit and one reference string.
 * @example
 * const system = await createProofSystem(stepCircuit(program), srs, { threads: 2 });
 * const commitment = await system.commitWeights(weights, blinders);
 * const proof = await system.proveStep(header, witness);
 * await system.close();
 */
export async function createProofSystem(
  circuit: Circuit,
  srs: StringPart,
  { threads = 1, kernels = {}, random = systemRandom }: ProofSystemOptions = {},
): Promise<ProofSystem> {
  const proof = kernels.proof === undefined ? {} : { kernels: kernels.proof };
  const committer = await createCommitter({ points: srs.points, threads, ...proof });
  const vectors = await FieldVectors.create(proof);
  const key = await keyOf(circuit, srs, committer);
  return new ProofSystem(key, committer, vectors, random);
}

/** Table of exponentials up to the largest difference of logits. */
function exponentialCells({ program, slots }: Circuit): Int32Array {
  const table = new Int32Array(2 ** slots.get("exponentials")!.vars);
  table.set(program.loss.exponentials.slice(0, table.length));
  return table;
}

async function keyOf(circuit: Circuit, srs: StringPart, committer: Committer): Promise<ProofKey> {
  const layout = circuit.tensors.find(({ name }) => name === "exponentials");
  const jobs = layout === undefined ? [] : blocksOf(circuit, "exponentials", exponentialCells(circuit));
  return makeKey(circuit, { srsHash: srs.hash, tau2: srs.g2Tau, exponentials: await committer.commit(jobs) });
}

/** Blocks of a tensor as jobs of the committer. */
function blocksOf({ tensors, settings }: Circuit, name: TensorName, cells: Int32Array): { integers: Int32Array }[] {
  const size = 2 ** settings.blockBits;
  const { blocks } = tensors.find((tensor) => tensor.name === name)!;
  return Array.from({ length: blocks }, (_, i) => ({ integers: cells.subarray(i * size, (i + 1) * size) }));
}

export class ProofSystem {
  readonly key: ProofKey;
  readonly #committer: Committer;
  readonly #vectors: FieldVectors;
  readonly #random: RandomBytes;
  /** Ends when the last of the calls so far that use the vectors has ended. */
  #idle: Promise<unknown> = Promise.resolve();

  constructor(key: ProofKey, committer: Committer, vectors: FieldVectors, random: RandomBytes) {
    this.key = key;
    this.#committer = committer;
    this.#vectors = vectors;
    this.#random = random;
  }

  get circuit(): Circuit {
    return this.key.circuit;
  }

  /** Vectors are a stack, so their users take turns. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#idle.then(work);
    this.#idle = result.catch(() => undefined);
    return result;
  }

  /** Blocks of a commitment to weights, and to a batch. */
  get blocks(): { readonly weights: number; readonly batch: number } {
    const of = (name: TensorName) => this.circuit.tensors.find((tensor) => tensor.name === name)?.blocks ?? 0;
    return { weights: of("weights"), batch: of("batch") };
  }

  /** Commits to weights, one tensor [inputs + 1, outputs] per layer; without blinders nothing is hidden. */
  async commitWeights(
    weights: readonly Int32Array[],
    blinders: Blinders = noBlinders(this.blocks.weights),
  ): Promise<Commitment> {
    return this.#blinded(await this.#commit("weights", layOutWeights(this.circuit, weights)), blinders);
  }

  /**
   * Commits to `after` from the commitment of `before`: C(W') = C(W) + N C((W' - W) / N) + (rho' - rho) H. The changes
   * are small numbers, so this is several times faster than committing anew. Fresh blinders are needed: with the old
   * ones the difference of the commitments would be an unblinded one of the change.
   */
  async commitChange(
    before: readonly Int32Array[],
    { points, blinders: old }: Commitment,
    after: readonly Int32Array[],
    blinders: Blinders = noBlinders(points.length),
  ): Promise<Commitment> {
    const rate = this.circuit.program.learningRateInteger;
    const changes = before.map((tensor, i) => tensor.map((value, j) => (after[i]![j]! - value) / rate));
    const sums = await this.#commit("weights", layOutWeights(this.circuit, changes));
    const moved = points.map((point, i) => {
      let sum = sums[i]!;
      for (let factor = rate; factor > 1; factor /= 2) sum = add(sum, sum);
      return blind(add(point, sum), blinders[i]! - old[i]!);
    });
    return { points: moved, blinders };
  }

  /** Commits to a batch: inputs and one-hot labels (steps), or inputs alone (inference). */
  async commitBatch(
    x: Inputs,
    labels?: Uint8Array,
    blinders: Blinders = noBlinders(this.blocks.batch),
  ): Promise<Commitment> {
    return this.#blinded(await this.#commit("batch", layOutBatch(this.circuit, x, labels)), blinders);
  }

  #blinded(points: readonly CurvePoint[], blinders: Blinders): Commitment {
    if (points.length !== blinders.length)
      throw new DataError("BadBlinders", `${blinders.length} blinders for ${points.length} blocks`);
    return { points: blindAll(points, blinders), blinders };
  }

  /** Commits to the input of an inference with fresh blinders. @throws SkyNetError `WrongCircuit` */
  async commitInput(x: Inputs): Promise<Commitment> {
    if (this.circuit.statement !== "inference" || this.circuit.settings.input !== "committed")
      throw new SkyNetError("WrongCircuit", "this circuit has no committed input");
    return this.commitBatch(x, undefined, this.#freshBlinders("batch", layOutBatch(this.circuit, x)));
  }

  async #commit(name: TensorName, cells: Int32Array): Promise<CurvePoint[]> {
    return this.#committer.commit(blocksOf(this.circuit, name, cells));
  }

  /**
   * Checks plaintext batches against their commitments, all at once.
   * @throws DataError `BadBatch` when one does not open its commitments
   */
  checkBatches(batches: Iterable<CommittedBatch> | AsyncIterable<CommittedBatch>): Promise<void> {
    return this.#exclusively(() => this.#checkBatches(batches));
  }

  async #checkBatches(batches: Iterable<CommittedBatch> | AsyncIterable<CommittedBatch>): Promise<void> {
    const { used, blocks } = this.circuit.tensors.find(({ name }) => name === "batch")!;
    const check = new BatchCheck(this.#vectors, used, this.#random);
    for await (const { x, labels, points, blinders } of batches) {
      if (points.length !== blocks)
        throw new DataError("BadBatch", `${points.length} commitments instead of ${blocks}`);
      check.add(layOutBatch(this.circuit, x, labels), points, blinders);
    }
    await check.finish(this.#committer, 2 ** this.circuit.settings.blockBits);
  }

  weightsId(points: readonly CurvePoint[]): Hex {
    return pointsId(this.key.weightsTag, points);
  }

  batchId(points: readonly CurvePoint[]): Hex {
    return pointsId(this.key.dataTag, points);
  }

  /**
   * Proves one training step and checks the proof before it returns it.
   * @throws OverflowError when a value does not fit its digits; Rejection when the parts do not belong together
   */
  async proveStep(header: Header, witness: StepWitness, options: ProveOptions = {}): Promise<StepProof> {
    if (this.circuit.statement !== "step") throw new SkyNetError("WrongCircuit", "this circuit proves inferences");
    const statement: Statement = {
      ...header,
      idIn: this.weightsId(witness.beforeCommitment.points),
      idOut: this.weightsId(witness.afterCommitment.points),
      idData: this.batchId(witness.batchCommitment.points),
      points: new Map([
        ["weights", witness.beforeCommitment.points],
        ["next", witness.afterCommitment.points],
        ["batch", witness.batchCommitment.points],
      ]),
    };
    const cells = layOut(this.circuit, columnsOf(this.circuit, witness.trace));
    cells.set("weights", layOutWeights(this.circuit, witness.before));
    cells.set("next", layOutWeights(this.circuit, witness.after));
    cells.set("batch", layOutBatch(this.circuit, witness.x, witness.labels));
    const blinders = new Map<TensorName, Blinders>([
      ["weights", witness.beforeCommitment.blinders],
      ["next", witness.afterCommitment.blinders],
      ["batch", witness.batchCommitment.blinders],
    ]);
    return this.#prove(statement, cells, blinders, options);
  }

  /**
   * Proves an inference: the logits of the model on `x`, which become public or are committed to, as the circuit says.
   * Commitments that are made here get fresh blinders, which are returned.
   * @throws OverflowError, Rejection, ProofError `RepeatedRandomness`
   */
  async proveInference(header: Header, witness: InferenceWitness, options: ProveOptions = {}): Promise<InferenceProof> {
    const { circuit, key } = this;
    if (circuit.statement !== "inference") throw new SkyNetError("WrongCircuit", "this circuit proves training steps");
    const { weights, commitment, x, trace } = witness;
    const { points } = commitment;
    const columns = columnsOf(circuit, trace);
    setInputColumns(circuit, columns, x);
    const cells = layOut(circuit, columns);
    cells.set("weights", layOutWeights(circuit, weights));
    const logits = logitsOf(circuit, columns);
    const tensors = new Map<TensorName, readonly CurvePoint[]>([["weights", points]]);
    const blinders = new Map<TensorName, Blinders>([["weights", commitment.blinders]]);
    const commit = async (name: "batch" | "output", own: Int32Array, made?: Commitment) => {
      const committed = made ?? this.#blinded(await this.#commit(name, own), this.#freshBlinders(name, own));
      cells.set(name, own);
      tensors.set(name, committed.points);
      blinders.set(name, committed.blinders);
    };
    const publicInput = Int8Array.from(x);
    if (circuit.settings.input === "committed") await commit("batch", layOutBatch(circuit, x), witness.input);
    else cells.set("batch", layOutInput(circuit, x));
    if (circuit.settings.output === "committed") await commit("output", logitCells(circuit, logits));
    const statement: Statement = {
      ...header,
      idIn: this.weightsId(points),
      idOut: outputId(key, tensors, logits),
      idData: inputId(key, tensors, publicInput),
      points: tensors,
      publicInput,
      publicOutput: logits,
    };
    return { ...(await this.#prove(statement, cells, blinders, options)), logits, blinders };
  }

  #freshBlinders(name: TensorName, cells: Int32Array): Blinders {
    const { blocks } = this.circuit.tensors.find((tensor) => tensor.name === name)!;
    if (!this.circuit.settings.hiding) return noBlinders(blocks);
    return freshRandomness(this.#random, [new Uint8Array(cells.slice().buffer)]).scalars(blocks);
  }

  async #prove(
    statement: Statement,
    cells: Witness,
    blinders: ReadonlyMap<TensorName, Blinders>,
    options: ProveOptions,
  ): Promise<StepProof> {
    const modules = { vectors: this.#vectors, committer: this.#committer };
    const secrets = drawSecrets(this.circuit, freshRandomness(this.#random, purposeOf(statement)));
    const hidden = { blinders, secrets };
    const proof = await this.#exclusively(() => prove(modules, this.key, statement, cells, hidden, options));
    await this.verify(statement, proof);
    return { statement: headerOf(statement), proof };
  }

  /** @throws Rejection */
  verify(header: StatementHeader, proof: Uint8Array): Promise<void> {
    return verify(this.key, header, proof);
  }

  async close(): Promise<void> {
    await this.#committer.close();
  }
}

/** What the randomness of a proof is for: its whole statement. */
export const purposeOf = (statement: StatementHeader): Uint8Array[] => statementWords(statement).map(word);

function headerOf({ chainId, verifier, context, idIn, idOut, idData }: Statement): StatementHeader {
  return { chainId, verifier, context, idIn, idOut, idData };
}

/** A proof with its public part in front, and what it is about. */
export interface StepProof {
  readonly statement: StatementHeader;
  readonly proof: Uint8Array;
}

/** `logits` are [batch, classes] at the scale of the program's logits; `blinders` open what is committed. */
export interface InferenceProof extends StepProof {
  readonly logits: Int32Array;
  readonly blinders: ReadonlyMap<TensorName, Blinders>;
}
