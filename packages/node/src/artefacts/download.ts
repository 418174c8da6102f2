// Getting the model of a job: from the requester's own store, else from the job's workers; nothing is believed that does
// not lead to the id on chain.
import type { Chain } from "@skynet/contracts";
import { ask } from "@skynet/network";
import { JobPhase, SkyNetError, type Hex } from "@skynet/protocol";
import { readContent, type DiskBlockStore } from "@skynet/storage";
import { decodeMetadata, type ModelShape, type Trainer } from "@skynet/swarm";
import { shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { fetchBytes, MAX_MODEL_BYTES } from "../roles/content.ts";
import { openNode, type LocalNode, type NodeOptions } from "../roles/local-node.ts";
import { openNodeBlocks } from "../runtime/blocks.ts";
import { openChain } from "../runtime/chain.ts";
import { startTrainer } from "../trainer/trainer.ts";
import { artefactKey, keepArtefact, keptArtefacts, type Artefact } from "./artefacts.ts";
import type { ModelCheck } from "./evaluate.ts";
import { mergedRounds } from "./merged-rounds.ts";
import { ARTEFACT_PROTOCOL, decodeAnswer, encodeRequest, MAX_ANSWER_BYTES, type OfferedArtefact } from "./messages.ts";
import {
  isWrong,
  loadArchitecture,
  maxArtefactBytes,
  verifyArtefact,
  type Target,
  type VerifiedModel,
} from "./verify-artefact.ts";

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

/** Workers that are gone do not hold up the others, but the end of the question. */
const ANSWER_MS = 10_000;
/** A worker has so long to give the model, and more for its size at 50 kB a second: then it is the next one's turn. */
const START_MS = 30_000;
const BYTES_PER_MS = 50;

/** What was of no use on the way, the last one last. */
interface Failures {
  readonly wrong: SkyNetError[];
  readonly unfetched: unknown[];
}

/**
 * Decrypts a job's model, verifies it against the id on chain and evaluates it.
 * @throws SkyNetError `NotRequester`, `JobNotFinished`, `NoModel`, `NotMerged` before anything is fetched; `NoArtefact` when
 * nobody has it, `WrongModel` when what was found is another one; StorageError about test data
 */
export async function downloadModel(options: DownloadOptions): Promise<DownloadedModel> {
  const chain = await openChain(options.rpcUrl, options.privateKey);
  const target = await targetOf(chain, options);
  const trainer = startTrainer({ threads: options.threads ?? 1, referenceString: options.referenceString });
  const failures: Failures = { wrong: [], unfetched: [] };
  try {
    const found =
      (await fromOwnStore(target, trainer, options, failures)) ??
      (await fromWorkers(target, trainer, options, failures));
    if (found === undefined) throw failures.wrong.at(-1) ?? nobodyHas(target, failures.unfetched.at(-1));
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
  const workers = state.workers as readonly Hex[];
  return { chainId: chain.chainId, jobId, round: last, modelId, spec, metadata, workers };
}

/** @param cause why the last one that said that it has the model did not give it */
function nobodyHas({ jobId, round }: Target, cause: unknown): SkyNetError {
  const hint =
    "name the folder of the requester with --data; workers keep the last model for 14 days, while they are online";
  if (cause === undefined)
    return new SkyNetError(
      "NoArtefact",
      `neither this folder nor a worker of job ${shortId(jobId)} that answers has the model of round ${round}`,
      { hint },
    );
  const { message, hint: own } = cause as SkyNetError;
  return new SkyNetError(
    "NoArtefact",
    `no worker of job ${shortId(jobId)} gave the model of round ${round} that it says it has: ${message}`,
    { cause, hint: own ?? hint },
  );
}

/** Of this node, as far as no network is needed. */
async function fromOwnStore(
  target: Target,
  trainer: Trainer,
  options: DownloadOptions,
  { wrong }: Failures,
): Promise<DownloadedModel | undefined> {
  const { jobId, round, modelId, metadata } = target;
  const kept = await keptArtefacts(options.dataDir, jobId);
  const own = kept.find((each) => each.round === round && each.modelId === modelId);
  if (own === undefined) return undefined;
  const blocks = await openNodeBlocks(options.dataDir, { quotaBytes: options.quotaBytes });
  try {
    const [sealed, model] = await Promise.all([own.cid, metadata.modelCid].map((cid) => readIfHere(blocks, cid)));
    if (sealed === undefined || model === undefined) return undefined;
    const shape = await loadArchitecture(target, trainer, model);
    return resultOf(await verifyArtefact(target, trainer, { sealed, shape, isOwn: true }, options), "here");
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
  { wrong, unfetched }: Failures,
): Promise<DownloadedModel | undefined> {
  options.ui.status("asking the job's workers for the model");
  const node = await openNode(options, "requester");
  let shape: ModelShape | undefined;
  try {
    for (const { worker, offer } of await offersOf(node, target, options.signal)) {
      const given = await fetchFrom(node, target, { worker, offer, shape, trainer }, options).catch(
        (error: unknown) => {
          options.signal.throwIfAborted();
          node.log.info({ worker, error: String(error) }, "this worker does not give the model");
          unfetched.push(error);
          return undefined;
        },
      );
      if (given === undefined) continue;
      shape = given.shape;
      try {
        const found = await verifyArtefact(target, trainer, { ...given, isOwn: false }, options);
        await keepHere(node, found.artefact, options);
        return resultOf(found, worker);
      } catch (error) {
        if (!isWrong(error)) throw error;
        node.log.info({ worker, error: String(error) }, "this worker's model is another one");
        wrong.push(error);
      }
    }
    return undefined;
  } finally {
    await node.close();
  }
}

const resultOf = ({ artefact, check }: VerifiedModel, source: string): DownloadedModel => {
  const { jobId, round, modelId, onnx } = artefact;
  return { jobId, round, modelId, source, onnx, check };
};

/** Of one worker: the sealed model, and the job's ONNX file if that is not loaded yet. */
async function fetchFrom(
  node: LocalNode,
  target: Target,
  {
    worker,
    offer,
    shape: known,
    trainer,
  }: Offer & { readonly shape: ModelShape | undefined; readonly trainer: Trainer },
  { ui, signal }: DownloadOptions,
): Promise<{ readonly sealed: Uint8Array; readonly shape: ModelShape }> {
  const fetch = (cid: string, what: string, maxBytes: number) =>
    inTime(worker, Math.min(offer.bytes, maxBytes), signal, (limited) => {
      const onProgress = (done: number, total: number) => ui.progress(what, done, total);
      return fetchBytes(node, cid, { from: [worker], maxBytes, signal: limited, onProgress });
    });
  const shape =
    known ??
    (await loadArchitecture(
      target,
      trainer,
      await fetch(target.metadata.modelCid, "Fetching the job's ONNX file", MAX_MODEL_BYTES),
    ));
  return { sealed: await fetch(offer.cid, "Fetching the model", maxArtefactBytes(shape)), shape };
}

/** @throws SkyNetError `Stalled` when it takes longer than such a size may */
async function inTime<Result>(
  worker: Hex,
  bytes: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const deadline = AbortSignal.timeout(Math.ceil(START_MS + bytes / BYTES_PER_MS));
  try {
    return await work(AbortSignal.any([signal, deadline]));
  } catch (cause) {
    if (signal.aborted || !deadline.aborted) throw cause;
    throw new SkyNetError("Stalled", `worker ${worker} sends less than ${BYTES_PER_MS} kB a second`, { cause });
  }
}

/** From now on it is here; when it cannot be kept, the user has it all the same. */
async function keepHere(node: LocalNode, artefact: Artefact, { dataDir }: DownloadOptions): Promise<void> {
  try {
    const { recipient } = await artefactKey(node.host.identity);
    await keepArtefact({ ...node, dataDir }, artefact, recipient, { replace: true });
  } catch (error) {
    node.log.warn({ error: String(error) }, "the model that was fetched is not kept in this folder");
  }
}

interface Offer {
  readonly worker: Hex;
  readonly offer: OfferedArtefact;
}

/** Workers that say that they have the model; those that say it is larger than others do come last. */
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
  return offers.toSorted((a, b) => a.offer.bytes - b.offer.bytes);
}
