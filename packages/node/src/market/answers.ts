// Models whose answers are sold: the same circuit for host and buyer, with a committed input and public logits.
import {
  architectureOf,
  type Commitment,
  createExecutor,
  createProofSystem,
  deriveBlinders,
  encodeLogits,
  type Executor,
  generateVerifier,
  type InferenceModel,
  inferenceCircuit,
  noBlinders,
  programOf,
  type ProofSystem,
} from "@skynet/proof";
import {
  fromHex,
  keccak256,
  toHex,
  verifierIdOf,
  VerifierKind,
  type Architecture,
  type Hex,
  type VerifierDescription,
} from "@skynet/protocol";
import { loadReferenceString } from "../trainer/reference-string.ts";
import { compileVerifierOnce } from "../runtime/compiled-verifiers.ts";

export interface ProofPlace {
  readonly chainId: number;
  readonly threads: number;
  /** File of the reference string. */
  readonly referenceString?: string | undefined;
}

/** Opens the proof system of a model's inferences; its owner closes it. @throws ProofError, DataError, CompileError */
export async function openAnswers(architecture: Architecture, place: ProofPlace): Promise<ProofSystem> {
  const circuit = inferenceCircuit(programOf(architecture), 1, { input: "committed", output: "public" });
  const string = await loadReferenceString(place.referenceString, circuit.settings.blockBits, place.chainId);
  return createProofSystem(circuit, string, { threads: place.threads });
}

/**
 * Whoever holds the model can compute its id, so blinders follow from the weights; nobody else learns more than whether a
 * guess of all weights is right.
 */
export async function commitToModel(system: ProofSystem, weights: readonly Int32Array[]): Promise<Commitment> {
  const blocks = system.blocks.weights;
  if (!system.circuit.settings.hiding) return system.commitWeights(weights, noBlinders(blocks));
  const content = weights.map((tensor) => {
    const view = new DataView(new ArrayBuffer(tensor.byteLength));
    tensor.forEach((value, i) => view.setInt32(4 * i, value, true));
    return new Uint8Array(view.buffer);
  });
  const secret = keccak256(keccak256(new TextEncoder().encode("skynet/1/model")), ...content);
  return system.commitWeights(weights, deriveBlinders(secret, ["weights", toHex(system.key.weightsTag)], blocks));
}

/** The verifier of a model's answers as this node generates it: nobody else's word is taken for it. */
export interface AnswerVerifier {
  readonly description: VerifierDescription;
  readonly codehash: Hex;
  readonly verifierId: Hex;
  readonly initcode: Hex;
}

export async function answerVerifier({ key, blocks }: ProofSystem): Promise<AnswerVerifier> {
  const { initcode, runtime } = await compileVerifierOnce((await generateVerifier(key)).source);
  const { circuitHash, srsHash } = key;
  const weightsTag = toHex(key.weightsTag);
  const description = { kind: VerifierKind.INFER, circuitHash, srsHash, weightsTag, weightBlocks: blocks.weights };
  const codehash = toHex(keccak256(fromHex(runtime)));
  return { description, codehash, verifierId: verifierIdOf(description, codehash), initcode };
}

/** A model that is ready to answer. */
export interface AnsweringModel {
  readonly system: ProofSystem;
  readonly architecture: Architecture;
  readonly modelId: Hex;
  /** Logits as the contract takes them, and the proof. @throws OverflowError, Rejection */
  answer(
    statement: { readonly verifier: Hex; readonly context: (z: Uint8Array) => Promise<Hex> },
    x: Int8Array,
    input: Commitment,
    onProgress?: (share: number) => void,
  ): Promise<{ z: Uint8Array; proof: Uint8Array }>;
  close(): Promise<void>;
}

export async function openAnsweringModel(model: InferenceModel, place: ProofPlace): Promise<AnsweringModel> {
  const architecture = architectureOf(model.program);
  const system = await openAnswers(architecture, place);
  try {
    const { weights } = model;
    const commitment = await commitToModel(system, weights);
    const executor: Executor = await createExecutor(system.circuit.program);
    executor.load(weights);
    return {
      system,
      architecture,
      modelId: system.weightsId(commitment.points),
      async answer({ verifier, context }, x, input, onProgress) {
        const trace = executor.trace(x, 1);
        const z = encodeLogits(executor.logits(x, 1));
        const header = { chainId: place.chainId, verifier, context: await context(z) };
        const options = onProgress ? { onProgress } : {};
        const { proof } = await system.proveInference(header, { weights, commitment, x, input, trace }, options);
        return { z, proof };
      },
      close: () => system.close(),
    };
  } catch (error) {
    await system.close();
    throw error;
  }
}

/** What a listing of a model commits to. */
export interface ModelIdentity {
  readonly architecture: Architecture;
  /** Id of the weights. */
  readonly modelId: Hex;
  /** Of the circuit of its answers. */
  readonly circuitHash: Hex;
}

/** @throws ProofError, DataError, CompileError */
export async function identifyModel(model: InferenceModel, place: ProofPlace): Promise<ModelIdentity> {
  const architecture = architectureOf(model.program);
  const system = await openAnswers(architecture, place);
  try {
    const { points } = await commitToModel(system, model.weights);
    return { architecture, modelId: system.weightsId(points), circuitHash: system.key.circuitHash };
  } finally {
    await system.close();
  }
}
