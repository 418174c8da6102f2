import { fetchBlock, receiveUpdates, sendUpdate } from "@skynet/network";
import { BLINDER_BYTES } from "@skynet/proof";
import type { Hex } from "@skynet/protocol";
import type { Address, ChannelMessage, JobNetwork, ModelShape } from "@skynet/swarm";
import type { LocalNode } from "./local-node.ts";

/** A job's secrets and members as its node knows them now. */
export interface JobCircle {
  readonly jobId: Hex;
  /** Newest first. */
  groupKeys: Uint8Array[];
  members: ReadonlySet<Address>;
  /** No update of this job's model is larger. */
  readonly maxUpdateBytes: number;
}

/** Where new jobs are announced; the chain stays the authority. */
export const JOBS_TOPIC = "jobs";

/** Size of an update: four bytes for each weight, and in proof mode a blinder for each block. */
export function updateBytes({ tensors, proof }: ModelShape): number {
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  return 4 * parameters + BLINDER_BYTES * (proof?.weightBlocks ?? 0);
}

export const jobTopic = (jobId: Hex): string => `job-${jobId.slice(2)}`;

/** Joins the network of one job: its encrypted channel and the direct streams between its members. */
export async function createJobNetwork(
  node: Pick<LocalNode, "host">,
  circle: JobCircle,
  signal: AbortSignal,
): Promise<JobNetwork> {
  const { host } = node;
  let onMessage: (message: ChannelMessage) => void = () => {};
  let admit: (from: Address, round: number) => boolean = () => false;
  let onUpdate: (from: Address, round: number, bytes: Uint8Array) => Promise<void> = async () => {
    throw new Error("not ready");
  };
  host.subscribe(
    jobTopic(circle.jobId),
    ({ kind, from, body, job }) => {
      if (job === circle.jobId) onMessage({ kind, from, body });
    },
    { groupKey: () => circle.groupKeys, allow: (address) => circle.members.has(address), signal },
  );
  const stopReceiving = await receiveUpdates(host, {
    maxBytes: circle.maxUpdateBytes,
    admit: (peer, header) => header.job === circle.jobId && circle.members.has(peer) && admit(peer, header.round),
    onUpdate: async (header, from, bytes) => {
      try {
        await onUpdate(from, header.round, bytes);
        return { ok: true };
      } catch (error) {
        return { ok: false, reason: (error as Error).message };
      }
    },
  });
  signal.addEventListener("abort", () => void stopReceiving(), { once: true });
  return {
    publish: async (kind, body) => {
      const groupKey = circle.groupKeys[0];
      if (groupKey) await host.publish(jobTopic(circle.jobId), { kind, job: circle.jobId, body }, { groupKey });
    },
    onMessage: (handler) => {
      onMessage = handler;
    },
    sendUpdate: async (to, round, bytes, options) => {
      const id = { job: circle.jobId, round, kind: "update" };
      return (await sendUpdate(host, to, id, bytes, options)).receiptBytes;
    },
    onUpdate: (admits, handler) => {
      admit = admits;
      onUpdate = handler;
    },
    fetchBlock: (from, cid, abort) => fetchBlock(host, from, cid, abort ? { signal: abort } : {}),
    traffic: () => host.traffic(),
  };
}
