import {
  blindAll,
  type Blinders,
  type Commitment,
  createProofSystem,
  decodeBlinders,
  deriveBlinders,
  encodeBlinders,
  generateVerifier,
  noBlinders,
  Rejection,
  reportCircuit,
  stepCircuit,
  type IntegerProgram,
  type ProofSystem,
  type StepTrace,
} from "@skynet/proof";
import { keccak256, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import {
  type BlindedWeights,
  circuitOf,
  type CommittedBatch,
  type CommittedWeights,
  type DatasetBatch,
  type ProofSettings,
  type ProofShape,
  type ProvenStep,
  type StepHeader,
  type TrainingBatch,
  type VerifierCode,
  type Weights,
  type WeightsIdentity,
} from "@skynet/swarm";
import { decodePoints, encodePoints } from "./points.ts";
import type { TrainerSetup } from "./protocol.ts";
import { loadReferenceString } from "./reference-string.ts";
import { compileVerifierOnce } from "../runtime/compiled-verifiers.ts";

/**
 * The proof system of one model.
 * @throws DataError `BadReferenceString`; ProofError `InsecureReferenceString`, `OutOfMemory`; CompileError
 */
export async function createModelProver(
  program: IntegerProgram,
  { chainId, circuit: choices }: ProofSettings,
  { threads, referenceString }: TrainerSetup,
): Promise<ModelProver> {
  const circuit = stepCircuit(program, circuitOf(choices));
  const string = await loadReferenceString(referenceString, circuit.settings.blockBits, chainId);
  return new ModelProver(await createProofSystem(circuit, string, { threads }), program.learningRateInteger);
}

/** Commits, proves and checks for one model; points and blinders are bytes here. */
export class ModelProver {
  readonly shape: ProofShape;
  readonly #system: ProofSystem;
  /** Local steps change every weight by a multiple of this. */
  readonly #rate: number;
  #code: Promise<VerifierCode> | undefined;

  constructor(system: ProofSystem, rate: number) {
    this.#system = system;
    this.#rate = rate;
    const { key, circuit } = system;
    const { proofBytes, estimatedGas } = reportCircuit(circuit);
    const blocksOf = (name: string) => circuit.tensors.find((tensor) => tensor.name === name)!.blocks;
    this.shape = {
      circuitHash: key.circuitHash,
      srsHash: key.srsHash,
      weightsTag: toHex(key.weightsTag),
      batchTag: toHex(key.dataTag),
      weightBlocks: blocksOf("weights"),
      batchBlocks: blocksOf("batch"),
      proofBytes,
      stepGas: estimatedGas,
    };
  }

  /**
   * Without zero knowledge there are no blinders but zeros: a proof would not verify with others. Positions name the tag
   * too: the same blinder must not hide the same numbers under two reference strings.
   */
  #derive(secret: Uint8Array, position: readonly (string | number)[], count: number): Blinders {
    return this.#system.circuit.settings.hiding ? deriveBlinders(secret, position, count) : noBlinders(count);
  }

  /** Blinders of the weights after some steps of a round. */
  weightBlinders(secret: Uint8Array, step: number): Uint8Array {
    return encodeBlinders(this.#derive(secret, ["weights", this.shape.weightsTag, step], this.shape.weightBlocks));
  }

  /** The hash of the content sees to it that one place never hides two different batches. */
  #batchBlinders({ x, y, index, secret }: DatasetBatch): Blinders {
    const content = toHex(keccak256(new Uint8Array(x.buffer, x.byteOffset, x.byteLength), y));
    return this.#derive(secret, ["batch", this.shape.batchTag, index, content], this.shape.batchBlocks);
  }

  /** @throws SkyNetError `BadBlinders` */
  #decodeBlinders(bytes: Uint8Array): Blinders {
    const blinders = decodeBlinders(bytes, this.shape.weightBlocks);
    if (!this.#system.circuit.settings.hiding && blinders.some((blinder) => blinder !== 0n))
      throw new SkyNetError("BadBlinders", "there are blinders in a job without zero knowledge");
    return blinders;
  }

  #commitmentOf({ points, blinders }: CommittedWeights): Commitment {
    return { points: decodePoints(points), blinders: this.#decodeBlinders(blinders) };
  }

  async identify(weights: Weights, encoded?: Uint8Array, near?: CommittedWeights): Promise<WeightsIdentity> {
    const blinders = encoded === undefined ? noBlinders(this.shape.weightBlocks) : this.#decodeBlinders(encoded);
    const { points } =
      near !== undefined && this.#isNear(near.weights, weights)
        ? await this.#system.commitChange(near.weights, this.#commitmentOf(near), weights, blinders)
        : await this.#system.commitWeights(weights, blinders);
    return { id: this.#system.weightsId(points), points: encodePoints(points), blinders: encodeBlinders(blinders) };
  }

  /** Whether some local steps could lead from one to the other; strangers' updates need not be of that kind. */
  #isNear(from: Weights, to: Weights): boolean {
    return from.every((tensor, i) => tensor.every((value, j) => (to[i]![j]! - value) % this.#rate === 0));
  }

  async proveStep(
    header: StepHeader,
    work: { before: CommittedWeights; after: BlindedWeights; batch: DatasetBatch; trace: StepTrace },
  ): Promise<{ step: ProvenStep; points: Uint8Array }> {
    const { before, batch, trace } = work;
    const after = work.after.weights;
    const blinders = this.#decodeBlinders(work.after.blinders);
    const beforeCommitment = this.#commitmentOf(before);
    const afterCommitment = await this.#system.commitChange(before.weights, beforeCommitment, after, blinders);
    const batchCommitment = await this.#system.commitBatch(batch.x, batch.y, this.#batchBlinders(batch));
    const { statement, proof } = await this.#system.proveStep(header, {
      before: before.weights,
      after,
      beforeCommitment,
      afterCommitment,
      x: batch.x,
      labels: batch.y,
      batchCommitment,
      trace,
    });
    return {
      step: { idEnd: statement.idOut, batchLeaf: statement.idData, proof },
      points: encodePoints(afterCommitment.points),
    };
  }

  async verifyStep(header: StepHeader, idIn: Hex, { idEnd, batchLeaf, proof }: ProvenStep): Promise<boolean> {
    try {
      await this.#system.verify({ ...header, idIn, idOut: idEnd, idData: batchLeaf }, proof);
      return true;
    } catch (error) {
      if (error instanceof Rejection) return false;
      throw error;
    }
  }

  async commitBatches(batches: readonly TrainingBatch[]): Promise<Uint8Array[]> {
    const all: Uint8Array[] = [];
    for (const { x, y } of batches) all.push(encodePoints((await this.#system.commitBatch(x, y)).points));
    return all;
  }

  async blindBatches(batches: readonly CommittedBatch[]): Promise<Uint8Array[]> {
    return batches.map((batch) => encodePoints(blindAll(decodePoints(batch.points), this.#batchBlinders(batch))));
  }

  async checkBatches(batches: readonly CommittedBatch[]): Promise<void> {
    await this.#system.checkBatches(
      batches.map((batch) => {
        const { x, y, points } = batch;
        return { x, labels: y, points: decodePoints(points), blinders: this.#batchBlinders(batch) };
      }),
    );
  }

  /** The code depends on nothing but the model and the reference string, so it is made once. */
  verifier(): Promise<VerifierCode> {
    this.#code ??= generateVerifier(this.#system.key).then(async ({ source }) => ({
      source,
      ...(await compileVerifierOnce(source)),
    }));
    return this.#code;
  }

  close(): Promise<void> {
    return this.#system.close();
  }
}
