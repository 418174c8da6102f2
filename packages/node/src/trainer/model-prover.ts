import {
  type Commitment,
  compileVerifier,
  createProofSystem,
  generateVerifier,
  noBlinders,
  Rejection,
  reportCircuit,
  stepCircuit,
  type IntegerProgram,
  type ProofSystem,
  type StepTrace,
} from "@skynet/proof";
import { toHex, type Hex } from "@skynet/protocol";
import type {
  CommittedWeights,
  ProofSettings,
  ProofShape,
  ProvenStep,
  StepHeader,
  TrainingBatch,
  VerifierCode,
  Weights,
  WeightsIdentity,
} from "@skynet/swarm";
import { decodePoints, encodePoints } from "./points.ts";
import type { TrainerSetup } from "./protocol.ts";
import { loadReferenceString } from "./reference-string.ts";

/**
 * The proof system of one model.
 * @throws DataError `BadReferenceString`; ProofError `InsecureReferenceString`, `OutOfMemory`; CompileError
 */
export async function createModelProver(
  program: IntegerProgram,
  { chainId, circuit: choices }: ProofSettings,
  { threads, referenceString }: TrainerSetup,
): Promise<ModelProver> {
  const { blockBits, tableBits } = choices;
  const circuit = stepCircuit(program, {
    ...(blockBits === undefined ? {} : { blockBits }),
    ...(tableBits === undefined ? {} : { tableBits }),
  });
  const string = await loadReferenceString(referenceString, circuit.settings.blockBits, chainId);
  return new ModelProver(await createProofSystem(circuit, string, { threads }), program.learningRateInteger);
}

const unblinded = (bytes: Uint8Array): Commitment => {
  const points = decodePoints(bytes);
  return { points, blinders: noBlinders(points.length) };
};

/** Commits, proves and checks for one model; points are bytes here. */
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

  async identify(weights: Weights, near?: CommittedWeights): Promise<WeightsIdentity> {
    const { points } =
      near !== undefined && this.#isNear(near.weights, weights)
        ? await this.#system.commitChange(near.weights, unblinded(near.points), weights)
        : await this.#system.commitWeights(weights);
    return { id: this.#system.weightsId(points), points: encodePoints(points) };
  }

  /** Whether some local steps could lead from one to the other; strangers' updates need not be of that kind. */
  #isNear(from: Weights, to: Weights): boolean {
    return from.every((tensor, i) => tensor.every((value, j) => (to[i]![j]! - value) % this.#rate === 0));
  }

  async proveStep(
    header: StepHeader,
    work: { before: CommittedWeights; after: Weights; batch: TrainingBatch; trace: StepTrace },
  ): Promise<{ step: ProvenStep; points: Uint8Array }> {
    const { before, after, batch, trace } = work;
    const beforeCommitment = unblinded(before.points);
    const afterCommitment = await this.#system.commitChange(before.weights, beforeCommitment, after);
    const batchCommitment = await this.#system.commitBatch(batch.x, batch.y);
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

  async checkBatches(batches: readonly (TrainingBatch & { readonly points: Uint8Array })[]): Promise<void> {
    await this.#system.checkBatches(batches.map(({ x, y, points }) => ({ x, labels: y, ...unblinded(points) })));
  }

  /** The code depends on nothing but the model and the reference string, so it is made once. */
  verifier(): Promise<VerifierCode> {
    this.#code ??= generateVerifier(this.#system.key).then(async ({ source }) => ({
      source,
      ...(await compileVerifier(source)),
    }));
    return this.#code;
  }

  close(): Promise<void> {
    return this.#system.close();
  }
}
