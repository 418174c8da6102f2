// What makes an artefact the model of a round: its weights have the id on chain. Nothing else in it is believed.
import { createIdentity } from "@skynet/network";
import { readInferenceModel } from "@skynet/proof";
import { SkyNetError, type Hex, type JobSpec } from "@skynet/protocol";
import { circuitOf, type JobMetadata, type ModelShape, type Trainer, type Weights } from "@skynet/swarm";
import { updateBytes } from "../roles/content.ts";
import { artefactKey, openArtefact, type Artefact } from "./artefacts.ts";
import { datasetMetadata, datasetOf } from "./dataset-metadata.ts";
import { evaluateModel, type EvaluatePlace, type ModelCheck } from "./evaluate.ts";

/** What the chain says about the model that is wanted. */
export interface Target {
  readonly chainId: number;
  readonly jobId: Hex;
  readonly round: number;
  readonly modelId: Hex;
  readonly spec: Pick<JobSpec, "averaging">;
  readonly metadata: Pick<JobMetadata, "batchSize" | "learningRate" | "verification" | "circuit" | "modelCid">;
  readonly workers: readonly Hex[];
}

export interface VerifyPlace extends EvaluatePlace {
  /** Of the requester's wallet. */
  readonly privateKey: Uint8Array;
}

export interface VerifiedModel {
  readonly artefact: Artefact;
  readonly check: ModelCheck;
}

/** Loads the job's ONNX file into the trainer. @throws SkyNetError, OnnxError about the file */
export const loadArchitecture = (
  { chainId, spec, metadata }: Target,
  trainer: Trainer,
  model: Uint8Array,
): Promise<ModelShape> =>
  trainer.load(model, {
    batchSize: metadata.batchSize,
    learningRate: metadata.learningRate,
    averaging: spec.averaging,
    proof: metadata.verification === "proof" ? { chainId, circuit: circuitOf(metadata.circuit ?? {}) } : undefined,
  });

/** Largest sealed artefact of such a model, bytes: its weights and blinders, and some for the graph and the encryption. */
export const maxArtefactBytes = (shape: ModelShape): number => Math.ceil(1.01 * updateBytes(shape)) + 2 ** 20;

/**
 * Opens an artefact, compares its weights with the id on chain, and evaluates them once. The model is made anew from the
 * weights that were verified: whoever kept the file cannot have put anything else into it.
 * @param isOwn it comes from this requester's own store, so that what it says of its data is believed, too
 * @throws SkyNetError `WrongModel`, `BadOutputs`; StorageError about test data
 */
export async function verifyArtefact(
  target: Target,
  trainer: Trainer,
  { sealed, shape, isOwn }: { readonly sealed: Uint8Array; readonly shape: ModelShape; readonly isOwn: boolean },
  place: VerifyPlace,
): Promise<VerifiedModel> {
  place.ui.status("verifying the model against the chain");
  const { identity } = await artefactKey(createIdentity(place.privateKey));
  const found = await openArtefact(sealed, identity).catch((cause: unknown) => {
    throw wrongModel(target, "it does not open with this wallet's key, or is no model", cause);
  });
  const weights = await verifiedWeights(target, trainer, shape, found);
  const { check, schema: tested } = await evaluateModel(trainer, weights, shape, place);
  const schema = (isOwn ? datasetOf(found.onnx) : undefined) ?? tested;
  const onnx = await trainer.exportModel(weights, schema ? datasetMetadata(schema) : {});
  const { jobId, round, modelId } = target;
  return { artefact: { jobId, round, modelId, onnx, blinders: found.blinders }, check };
}

/** The weights of an artefact, if they have the id on chain. @throws SkyNetError `WrongModel` */
async function verifiedWeights(
  target: Target,
  trainer: Trainer,
  { tensors }: ModelShape,
  { onnx, blinders }: Artefact,
): Promise<Weights> {
  let weights: Weights;
  let id: Hex;
  try {
    ({ weights } = readInferenceModel(onnx));
    const sizes = tensors.map(({ shape }) => shape.reduce((product, size) => product * size, 1));
    if (weights.length !== sizes.length || weights.some(({ length }, i) => length !== sizes[i]))
      throw wrongModel(target, "its tensors have other sizes than the job's");
    ({ id } = await trainer.identify(weights, blinders));
  } catch (cause) {
    if (isWrong(cause) || !(cause instanceof SkyNetError)) throw cause;
    throw wrongModel(target, cause.message, cause);
  }
  if (id !== target.modelId) throw wrongModel(target, `its id is ${id}, the chain has ${target.modelId}`);
  return weights;
}

const wrongModel = ({ round }: Target, reason: string, cause?: unknown) =>
  new SkyNetError("WrongModel", `what was found is not the model of round ${round}: ${reason}`, {
    cause,
    hint: "nothing was written; check that --srs is the job's reference string",
  });

export const isWrong = (error: unknown): error is SkyNetError =>
  error instanceof SkyNetError && error.code === "WrongModel";
