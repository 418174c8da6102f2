import type { Chain, ChainVerifier } from "@skynet/contracts";
import { parseModel } from "@skynet/onnx";
import {
  compileTraining,
  createProofSystem,
  generateVerifier,
  initialWeights,
  type ProofSystem,
  stepCircuit,
} from "@skynet/proof";
import {
  fromHex,
  type Hex,
  type JobSpec,
  keccak256,
  matchesCid,
  toHex,
  VerifierKind,
  verifierIdOf,
} from "@skynet/protocol";
import { circuitOf, type JobMetadata } from "@skynet/swarm";
import { loadReferenceString } from "../trainer/reference-string.ts";
import { VerificationError } from "./audit.ts";
import { compileVerifierOnce } from "../runtime/compiled-verifiers.ts";

export interface SystemOptions {
  readonly chain: Chain;
  readonly srs?: string;
  readonly threads?: number;
}

/** The proof system of the job's model, made again from its file. */
export async function openSystem(
  { chain, srs, threads }: SystemOptions,
  metadata: JobMetadata,
  model: Uint8Array,
  workers: number,
): Promise<ProofSystem> {
  if (!(await matchesCid(metadata.modelCid, model)))
    throw new VerificationError("WrongModel", "the model file is not the one that the job names", {
      hint: `Its CID must be ${metadata.modelCid}.`,
    });
  const { batchSize, learningRate } = metadata;
  const program = compileTraining(parseModel(model), { batchSize, learningRate, workers });
  const circuit = stepCircuit(program, circuitOf(metadata.circuit ?? {}));
  const string = await loadReferenceString(srs, circuit.settings.blockBits, chain.chainId);
  return createProofSystem(circuit, string, { threads: threads ?? 2 });
}

/** The verifier that the job names is the one that this machine generates, and its first model the one of its seed. */
export async function checkModel(
  chain: Chain,
  system: ProofSystem,
  { stepVerifier, modelId }: JobSpec,
  seed: Uint8Array,
): Promise<ChainVerifier> {
  if ((await ownVerifierId(system)) !== stepVerifier)
    throw new VerificationError("WrongVerifier", "the job's verifier contract is not the one of its model");
  // Everybody can compute the initial weights from the job's seed, so nothing blinds their commitment.
  const initial = await system.commitWeights(initialWeights(system.circuit.program, seed));
  if (system.weightsId(initial.points) !== modelId)
    throw new VerificationError("WrongModel", "the initial weights do not follow from the job's seed", {
      hint: "The requester began with other weights than its metadata say.",
    });
  return chain.verifierEntry(stepVerifier);
}

async function ownVerifierId({ key, circuit }: ProofSystem): Promise<Hex> {
  const { runtime } = await compileVerifierOnce((await generateVerifier(key)).source);
  const description = {
    kind: VerifierKind.STEP,
    circuitHash: key.circuitHash,
    srsHash: key.srsHash,
    weightsTag: toHex(key.weightsTag),
    weightBlocks: circuit.tensors.find(({ name }) => name === "weights")!.blocks,
  };
  return verifierIdOf(description, toHex(keccak256(fromHex(runtime))));
}
