// Getting the model of a job: from the requester's own store, else from the job's workers; nothing is believed that does
// not lead to the id on chain.
import type { Chain } from "@skynet/contracts";
import { ask } from "@skynet/network";
import { readInferenceModel } from "@skynet/proof";
import { JobPhase, SkyNetError, type Hex, type JobSpec } from "@skynet/protocol";
import { readContent, type DatasetSchema, type DiskBlockStore } from "@skynet/storage";
import {
  circuitOf,
  decodeMetadata,
  type JobMetadata,
  type ModelShape,
  type Trainer,
  type Weights,
} from "@skynet/swarm";
import { shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { fetchBytes, MAX_MODEL_BYTES } from "../roles/content.ts";
import { openNode, type LocalNode, type NodeOptions } from "../roles/local-node.ts";
import { openNodeBlocks } from "../runtime/blocks.ts";
import { openChain } from "../runtime/chain.ts";
import { startTrainer } from "../trainer/trainer.ts";
import { createIdentity } from "@skynet/network";
import { artefactKey, keepArtefact, keptArtefacts, openArtefact, type Artefact } from "./artefacts.ts";
import { datasetMetadata, datasetOf } from "./dataset-metadata.ts";
import { evaluateModel, type ModelCheck } from "./evaluate.ts";
import { mergedRounds } from "./merged-rounds.ts";
import { ARTEFACT_PROTOCOL, decodeAnswer, encodeRequest, MAX_ANSWER_BYTES, type OfferedArtefact } from "./messages.ts";

export interface DownloadOptions extends Omit<NodeOptions, "ui"> {
  readonly jobId: Hex;
  /** 1 for the first; default: the last one that was merged, of a job that is over. */
  readonly round?: number | undefined;
  /** Job file whose test data the model is evaluated on; a random sample by default. */
  readonly job?: string | undefined;
  readonly ui: Ui;
}

export interface DownloadedModel {
  readonly jobId: Hex;
  readonly round: number;
  readonly modelId: Hex;
  /** Whose copy it is: `here`, or the address of a worker. */
  readonly source: string;
  readonly onnx: Uint8Array;
  readonly check: ModelCheck;
}

/** What the chain says about the model that is wanted. */
interface Target {
  readonly jobId: Hex;
  readonly round: number;
  readonly modelId: Hex;
  readonly spec: JobSpec;
  readonly metadata: JobMetadata;
  readonly workers: readonly Hex[];
}

/** Workers that are gone do not hold up the others, but the end of the question. */
const ANSWER_MS = 10_000;

/**
 * Decrypts a job's model, verifies it against the id on chain and evaluates it.
 * @throws SkyNetError `NotRequester`, `JobNotFinished`, `NoModel`, `NotMerged` before anything is fetched; `NoArtefact` when
 * nobody has it, `WrongModel` when what was found is another one; StorageError about test data
 */
export async function downloadModel(options: DownloadOptions): Promise<DownloadedModel> {
  const chain = await openChain(options.rpcUrl, options.privateKey);
  const target = await targetOf(chain, options);
  const trainer = startTrainer({ threads: options.threads ?? 1, referenceString: options.referenceString });
  const wrong: SkyNetError[] = [];
  try {
    const found =
      (await fromOwnStore(target, trainer, options, wrong)) ?? (await fromWorkers(target, trainer, options, wrong));
    if (found === undefined) throw wrong.at(-1) ?? nobodyHas(target);
    return found;
  } finally {
    await trainer.close();
  }
}

async function targetOf(chain: Chain, { jobId, round }: DownloadOptions): Promise<Target> {
  const { spec, state } = await chain.job(jobId);
  if (spec.requester !== chain.address)
    throw new SkyNetError("NotRequester", `job ${shortId(jobId)} is one of ${spec.requester}, not of this wallet`, {
      hint: "models are encrypted to their requester: name its wallet with --keystore",
    });
  const merged = await mergedRounds(chain, jobId);
  if (round === undefined && state.phase !== JobPhase.SETTLED)
    throw new SkyNetError("JobNotFinished", `job ${shortId(jobId)} is not over`, {
      hint:
        merged.size > 0
          ? `its latest checkpoint: --round ${[...merged.keys()].at(-1)}; npx skynet job watch follows it`
          : "npx skynet job watch follows it",
    });
  if (merged.size === 0)
    throw new SkyNetError("NoModel", `no round of job ${shortId(jobId)} was merged: it has no model`);
  const last = round ?? [...merged.keys()].at(-1)!;
  const modelId = merged.get(last);
  if (modelId === undefined)
    throw last > state.round
      ? new SkyNetError("JobNotFinished", `round ${last} of job ${shortId(jobId)} is not over`, {
          hint: `rounds with a model: ${[...merged.keys()].join(", ")}`,
        })
      : new SkyNetError("NotMerged", `round ${last} ended without a merge: the model stayed as it was`, {
          hint: `rounds with a model: ${[...merged.keys()].join(", ")}`,
        });
  const metadata = decodeMetadata(await chain.meta(jobId));
  return { jobId, round: last, modelId, spec, metadata, workers: state.workers as readonly Hex[] };
}

const nobodyHas = ({ jobId, round }: Target) =>
  new SkyNetError(
    "NoArtefact",
    `neither this folder nor a worker of job ${shortId(jobId)} that answers has the model of round ${round}`,
    {
      hint: "name the folder of the requester with --data; workers keep the last model for 14 days, while they are online",
    },
  );

const noArchitecture = (cid: string, cause: unknown) =>
  new SkyNetError("NoModel", `the job's ONNX file ${cid} is not here`, {
    cause,
    hint: "name the folder of the requester with --data",
  });

/** Of this node, as far as no network is needed. */
async function fromOwnStore(
  target: Target,
  trainer: Trainer,
  options: DownloadOptions,
  wrong: SkyNetError[],
): Promise<DownloadedModel | undefined> {
  const { jobId, round, modelId, metadata } = target;
  const kept = await keptArtefacts(options.dataDir, jobId);
  const own = kept.find((each) => each.round === round && each.modelId === modelId);
  if (own === undefined) return undefined;
  const blocks = await openNodeBlocks(options.dataDir, { quotaBytes: options.quotaBytes });
  try {
    const [sealed, model] = await Promise.all([own.cid, metadata.modelCid].map((cid) => readIfHere(blocks, cid)));
    if (sealed === undefined || model === undefined) return undefined;
    return await check(target, trainer, { sealed, model, source: "here" }, options);
  } catch (error) {
    if (!isWrong(error)) throw error;
    wrong.push(error);
    return undefined;
  } finally {
    blocks.close();
  }
}

const readIfHere = (blocks: DiskBlockStore, cid: string): Promise<Uint8Array | undefined> =>
  readContent(blocks, cid).catch((error: unknown) => {
    if ((error as SkyNetError).code === "BlockMissing") return undefined;
    throw error;
  });

async function fromWorkers(
  target: Target,
  trainer: Trainer,
  options: DownloadOptions,
  wrong: SkyNetError[],
): Promise<DownloadedModel | undefined> {
  const { ui } = options;
  ui.status("asking the job's workers for the model");
  const node = await openNode(options, "requester");
  try {
    const offers = await offersOf(node, target, options.signal);
    if (offers.length === 0) return undefined;
    const from = offers.map(({ worker }) => worker);
    const { modelCid } = target.metadata;
    const model = await fetchBytes(node, modelCid, { from, maxBytes: MAX_MODEL_BYTES, signal: options.signal }).catch(
      (cause: unknown) => {
        options.signal.throwIfAborted();
        throw noArchitecture(modelCid, cause);
      },
    );
    for (const { worker, offer } of offers) {
      const found = await fromWorker(node, target, trainer, { worker, offer, model }, options).catch(
        (error: unknown) => {
          options.signal.throwIfAborted();
          node.log.info({ worker, error: String(error) }, "this worker's model is of no use");
          if (isWrong(error)) wrong.push(error);
          return undefined;
        },
      );
      if (found !== undefined) return found;
    }
    return undefined;
  } finally {
    await node.close();
  }
}

interface Offer {
  readonly worker: Hex;
  readonly offer: OfferedArtefact;
}

/** Workers that say that they have the model, those that answered first. */
async function offersOf(
  node: LocalNode,
  { jobId, round, modelId, workers }: Target,
  signal: AbortSignal,
): Promise<Offer[]> {
  const offers: Offer[] = [];
  const limits = { timeoutMs: ANSWER_MS, maxAnswerBytes: MAX_ANSWER_BYTES, signal };
  await Promise.all(
    workers.map(async (worker) => {
      try {
        const answer = decodeAnswer(await ask(node.host, worker, ARTEFACT_PROTOCOL, encodeRequest(jobId), limits));
        const offer = answer.find((each) => each.round === round && each.modelId === modelId);
        if (offer !== undefined) offers.push({ worker, offer });
      } catch (error) {
        node.log.debug({ worker, error: String(error) }, "no answer about models");
      }
    }),
  );
  signal.throwIfAborted();
  return offers;
}

async function fromWorker(
  node: LocalNode,
  target: Target,
  trainer: Trainer,
  { worker, offer, model }: Offer & { readonly model: Uint8Array },
  options: DownloadOptions,
): Promise<DownloadedModel> {
  const { ui, signal, dataDir } = options;
  const onProgress = (done: number, total: number) => ui.progress("Fetching the model", done, total);
  const sealed = await fetchBytes(node, offer.cid, { from: [worker], maxBytes: MAX_MODEL_BYTES, signal, onProgress });
  const { identity, recipient } = await artefactKey(node.host.identity);
  const found = await check(target, trainer, { sealed, model, source: worker }, options);
  // From now on it is here.
  await keepArtefact({ ...node, dataDir }, await openArtefact(sealed, identity), recipient);
  return found;
}

/** @throws SkyNetError `WrongModel`; StorageError about test data */
async function check(
  target: Target,
  trainer: Trainer,
  { sealed, model, source }: { readonly sealed: Uint8Array; readonly model: Uint8Array; readonly source: string },
  options: DownloadOptions,
): Promise<DownloadedModel> {
  const { jobId, round, modelId, spec, metadata } = target;
  const { ui } = options;
  ui.status("verifying the model against the chain");
  const shape = await trainer.load(model, {
    batchSize: metadata.batchSize,
    learningRate: metadata.learningRate,
    averaging: spec.averaging,
    proof:
      metadata.verification === "proof"
        ? { chainId: await chainIdOf(options), circuit: circuitOf(metadata.circuit ?? {}) }
        : undefined,
  });
  const { identity } = await artefactKey(createIdentity(options.privateKey));
  const artefact = await openArtefact(sealed, identity).catch((cause: unknown) => {
    throw wrongModel(target, "it does not open with this wallet's key, or is no model", cause);
  });
  const weights = await verifiedWeights(target, trainer, shape, artefact);
  const schema: DatasetSchema | undefined = datasetOf(artefact.onnx);
  const checked = await evaluateModel(trainer, weights, shape, options);
  // Made here from the weights that were verified: whoever kept the file cannot have put anything else into it.
  const onnx = await trainer.exportModel(weights, schema ? datasetMetadata(schema) : {});
  return { jobId, round, modelId, source, onnx, check: checked };
}

const chainIdOf = async ({ rpcUrl, privateKey }: DownloadOptions): Promise<number> =>
  (await openChain(rpcUrl, privateKey)).chainId;

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

const isWrong = (error: unknown): error is SkyNetError => error instanceof SkyNetError && error.code === "WrongModel";
