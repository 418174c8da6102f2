// A worker's part of a job's data: the keys that the requester gave it, and the batches that they open.
import { listSeats, merklePath, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { dataKeyOf, openDataset, type Dataset } from "@skynet/storage";
import {
  openSecrets,
  SwarmError,
  type BatchSource,
  type BlockPort,
  type JobChain,
  type JobMetadata,
  type ModelShape,
  type ProofShape,
  type WorkerSecrets,
} from "@skynet/swarm";
import { openToMembers } from "./block-access.ts";
import { createBatchFetcher } from "./batch-fetch.ts";
import type { JobCircle } from "./job-circle.ts";
import { fetchKeys } from "./job-network.ts";
import type { LocalNode } from "./local-node.ts";

export interface WorkerDataModules {
  readonly node: Omit<LocalNode, "chain">;
  readonly chain: JobChain;
  readonly circle: JobCircle;
  readonly blocks: BlockPort;
  readonly requester: Hex;
  readonly dataRoot: Hex;
  readonly metadata: JobMetadata;
  readonly shape: ModelShape;
  readonly manifest: Uint8Array;
  readonly signal: AbortSignal;
}

export interface WorkerData {
  /** See `WorkerModules`. */
  open(keys: { epoch: number; cid: string }, needed: readonly number[]): Promise<BatchSource>;
  /** Batches that were not on this disk. */
  fetched(): number;
  /** Overwrites the keys. */
  forget(): void;
}

const POINT_BYTES = 64;
/** About what encryption adds to a batch. */
const SEALED_EXTRA_BYTES = 512;

export function createWorkerData(modules: WorkerDataModules): WorkerData {
  const { node, chain, circle, blocks, requester, metadata, shape, signal } = modules;
  const { jobId } = chain;
  const expectedBytes = metadata.batchSize * (shape.features + 1) + SEALED_EXTRA_BYTES;
  const sources = () => [requester, ...circle.ready()];
  const batches = createBatchFetcher(node, { sources, expectedBytes, signal });
  const known: WorkerSecrets[] = [];
  let fetched = 0;

  const open = async (keys: { epoch: number; cid: string }, needed: readonly number[]): Promise<BatchSource> => {
    const { active, workers } = await chain.snapshot();
    const members = listSeats(active).map((seat) => workers[seat]!);
    const fetchList = (cid: string) => fetchKeys(node.host, cid, { requester, members }, signal);
    const envelope = await fetchList(keys.cid);
    const self = node.host.identity;
    const secrets = await openSecrets(envelope, { jobId, epoch: keys.epoch, self, needed, fetchList });
    known.push(secrets);
    // For members that cannot reach the requester.
    await blocks.put(envelope);
    circle.take(secrets.epoch, secrets.groupKey);
    const dataset = openDataset({
      manifestBytes: modules.manifest,
      expectedRoot: modules.dataRoot,
      identity: async (index) => (await dataKeyOf(secretOf(secrets, index))).identity,
      blockStore: node.blocks,
      fetch: (cid) => {
        fetched++;
        return batches.fetch(cid);
      },
    });
    openToMembers(node, jobId, dataset.manifest.cids);
    return {
      batch: async (index) => ({
        ...(await dataset.batch(index, { signal })),
        index,
        secret: secretOf(secrets, index),
      }),
      commitments: shape.proof && commitmentsOf(dataset, shape.proof),
    };
  };
  const forget = () => {
    for (const { groupKey, batches: secrets } of known) {
      groupKey.fill(0);
      for (const secret of secrets.values()) secret.fill(0);
    }
    known.length = 0;
  };
  return { open, fetched: () => fetched, forget };
}

/** @throws SwarmError `BadKeys` for a batch that this worker does not train on */
function secretOf({ batches }: WorkerSecrets, index: number): Uint8Array {
  const secret = batches.get(index);
  if (secret === undefined) throw new SwarmError("BadKeys", `batch ${index} is not one of this worker's`);
  return secret;
}

/**
 * The dataset's commitments for the trainer.
 * @throws SkyNetError `BadDataset` when they are not made for this model and reference string
 */
function commitmentsOf({ manifest }: Dataset, { batchTag, batchBlocks }: ProofShape): BatchSource["commitments"] {
  const { commitments, leaves } = manifest;
  const fits = commitments?.points.every((points) => points.length === batchBlocks * POINT_BYTES);
  if (!commitments || !fits || toHex(commitments.tag) !== batchTag)
    throw new SkyNetError("BadDataset", "the dataset is not committed to in the way that the job's model needs");
  return { points: (index) => commitments.points[index]!, path: (index) => merklePath(leaves, index).map(toHex) };
}
