// Who keeps models of a job: its requester one after each merged round, its workers the last one for the requester.
import fs from "node:fs/promises";
import path from "node:path";
import type { Chain } from "@skynet/contracts";
import { answerRequests } from "@skynet/network";
import type { Hex } from "@skynet/protocol";
import { cidsOfContent, type DatasetSchema } from "@skynet/storage";
import {
  decodeMetadata,
  decodeWeights,
  STATE_FILE,
  type BlindedWeights,
  type JobFiles,
  type JobMetadata,
  type ModelShape,
  type RequesterModules,
  type Trainer,
} from "@skynet/swarm";
import type { LocalNode } from "../roles/local-node.ts";
import { isPostedHere } from "../roles/posted-job.ts";
import { artefactPin } from "../runtime/blocks.ts";
import { createRate } from "../sponsor/rate.ts";
import { artefactKey, keepArtefact, keptArtefacts } from "./artefacts.ts";
import { datasetMetadata } from "./dataset-metadata.ts";
import { ARTEFACT_PROTOCOL, decodeRequest, encodeAnswer, MAX_REQUEST_BYTES } from "./messages.ts";
import { mergedRounds } from "./merged-rounds.ts";

/** Workers keep the last model of a job for so long: 14 days. */
export const KEEP_MS = 14 * 24 * 60 * 60 * 1000;
const STALL_MS = 10_000;
/** Questions of one node: at once, and for each second after that. */
const RATE = { burst: 20, perSecond: 1 };

export interface CheckpointModules {
  readonly node: Pick<LocalNode, "host" | "blocks" | "log">;
  readonly dataDir: string;
  readonly jobId: Hex;
  readonly modelCid: string;
  readonly trainer: Trainer;
  readonly schema: DatasetSchema;
}

/** Keeps the requester's checkpoints; one that cannot be stored is told in the log, and the job goes on. */
export function createCheckpoints(modules: CheckpointModules): RequesterModules["keepCheckpoint"] {
  const { node, dataDir, jobId, modelCid, trainer, schema } = modules;
  return async (round, { modelId, weights, blinders }) => {
    try {
      const { recipient } = await artefactKey(node.host.identity);
      const onnx = await trainer.exportModel(weights, datasetMetadata(schema));
      const { bytes } = await keepArtefact({ ...node, dataDir }, { jobId, round, modelId, onnx, blinders }, recipient);
      await keepArchitecture(node, jobId, modelCid);
      node.log.info({ jobId, round, modelId, bytes }, "checkpoint kept");
    } catch (error) {
      node.log.warn({ jobId, round, error: String(error) }, "the checkpoint of this round is not kept");
    }
  };
}

/** What the weights belong to. */
async function keepArchitecture({ blocks }: Pick<LocalNode, "blocks">, jobId: Hex, modelCid: string): Promise<void> {
  if (await blocks.has(modelCid)) blocks.pin(artefactPin(jobId, "model"), await cidsOfContent(blocks, modelCid));
}

export interface FinalModelModules {
  readonly node: Pick<LocalNode, "blocks" | "log">;
  readonly chain: Pick<Chain, "events">;
  readonly dataDir: string;
  readonly jobId: Hex;
  readonly metadata: JobMetadata;
  readonly shape: ModelShape;
  readonly trainer: Trainer;
  readonly files: JobFiles;
}

/** A worker keeps the job's last model for the requester, if it has it and the requester named a key. Never fails. */
export async function keepFinalModel(modules: FinalModelModules): Promise<void> {
  const { node, chain, dataDir, jobId, metadata, shape, trainer, files } = modules;
  try {
    const [round, modelId] = [...(await mergedRounds(chain, jobId))].at(-1) ?? [];
    const state = await files.read(STATE_FILE);
    if (metadata.artefacts === undefined || modelId === undefined || state === undefined) return;
    const { weights, blinders }: BlindedWeights = decodeWeights(shape, state);
    if ((await trainer.identify(weights, blinders)).id !== modelId) return;
    const onnx = await trainer.exportModel(weights);
    await keepArtefact({ ...node, dataDir }, { jobId, round: round!, modelId, onnx, blinders }, metadata.artefacts);
    await keepArchitecture(node, jobId, metadata.modelCid);
  } catch (error) {
    node.log.warn({ jobId, error: String(error) }, "the final model is not kept for the requester");
  }
}

/** Removes what was kept for others longer than {@link KEEP_MS}; the models of own jobs stay. */
export async function forgetOldArtefacts({ blocks }: Pick<LocalNode, "blocks">, dataDir: string, nowMs: number) {
  for (const id of await fs.readdir(path.join(dataDir, "jobs")).catch(() => [])) {
    const jobId = id as Hex;
    if (await isPostedHere(dataDir, jobId)) continue;
    const kept = await keptArtefacts(dataDir, jobId);
    if (kept.length === 0 || kept.some(({ keptMs }) => nowMs - keptMs < KEEP_MS)) continue;
    await blocks.discard(artefactPin(jobId));
    await fs.rm(path.join(dataDir, "jobs", id, "artefacts.json"), { force: true });
  }
}

/** Tells requesters which models of their jobs are here, and serves these to them. */
export function serveArtefacts(
  {
    host,
    access,
    blocks,
    chain,
  }: Pick<LocalNode, "host" | "access" | "blocks"> & { readonly chain: Pick<Chain, "job" | "meta"> },
  dataDir: string,
): Promise<() => Promise<void>> {
  const mayAsk = createRate(RATE);
  return answerRequests(
    host,
    ARTEFACT_PROTOCOL,
    { maxRequestBytes: MAX_REQUEST_BYTES, stallMs: STALL_MS },
    async (from, request) => {
      const jobId = decodeRequest(request);
      const kept = mayAsk(from) ? await keptArtefacts(dataDir, jobId) : [];
      if (kept.length === 0 || (await chain.job(jobId)).spec.requester !== from) return encodeAnswer([]);
      const { modelCid } = decodeMetadata(await chain.meta(jobId));
      const name = artefactPin(jobId);
      access.setMembers(name, [from]);
      for (const cid of [modelCid, ...kept.map((each) => each.cid)])
        if (await blocks.has(cid)) access.addBlocks(name, await cidsOfContent(blocks, cid));
      return encodeAnswer(kept);
    },
  );
}
