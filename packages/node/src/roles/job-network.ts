import { fetchBlock, NetworkError, receiveUpdates, sendUpdate, type Host } from "@skynet/network";
import { codecOfCid, SkyNetError, type Hex } from "@skynet/protocol";
import { cidsOfContent, getContent, putContent, type DiskBlockStore } from "@skynet/storage";
import { SwarmError, type Address, type BlockPort, type ChannelMessage, type JobNetwork } from "@skynet/swarm";
import { jobPin } from "../runtime/blocks.ts";
import { fetchBytes } from "./content.ts";
import type { JobCircle } from "./job-circle.ts";
import type { LocalNode } from "./local-node.ts";

/** Members that have the keys give them in this time. */
const KEYS_MS = 20_000;
/** One that is silent for so long is passed over; others are asked before. */
const KEYS_SILENCE_MS = 5000;

/** The one kind of update that a job has. */
const UPDATE_KIND = "update";

/** Where new jobs are announced; the chain stays the authority. */
export const JOBS_TOPIC = "jobs";

export const jobTopic = (jobId: Hex): string => `job-${jobId.slice(2)}`;

/** Joins the network of one job: its encrypted channel and the direct streams between its members. */
export async function createJobNetwork(
  node: Pick<LocalNode, "host" | "access" | "delivery" | "partials" | "blocks">,
  circle: JobCircle,
  signal: AbortSignal,
): Promise<JobNetwork> {
  const { host, access, delivery, partials } = node;
  let onMessage: (message: ChannelMessage) => Promise<void> = async () => {
    throw new Error("not ready");
  };
  let admit: (from: Address, round: number) => boolean = () => false;
  let onUpdate: (from: Address, round: number, bytes: Uint8Array) => Promise<void> = async () => {
    throw new Error("not ready");
  };
  const channel = delivery.join({
    job: circle.jobId,
    topic: jobTopic(circle.jobId),
    openingKeys: () => circle.openingKeys(),
    speakingKey: () => circle.speakingKey(),
    isMember: (address) => circle.has(address),
    hasLeft: (address) => circle.hasLeft(address),
    handler: async ({ kind, from, body }) => {
      try {
        await onMessage({ kind, from, body });
      } catch (error) {
        // It will not fit better the next time.
        if (error instanceof SwarmError) throw new NetworkError("Rejected", error.message, { cause: error });
        throw error;
      }
    },
  });
  const stopReceiving = await receiveUpdates(host, {
    maxBytes: circle.maxUpdateBytes,
    admit: (peer, { job, kind, round }) =>
      job === circle.jobId && kind === UPDATE_KIND && circle.has(peer) && admit(peer, round),
    onUpdate: async (header, from, bytes) => {
      try {
        // It may have lost its seat while it was sending.
        if (!circle.has(from)) throw new SwarmError("NotAssigned", "no member of the job");
        await onUpdate(from, header.round, bytes);
        return { ok: true };
      } catch (error) {
        host.log.warn({ from, round: header.round, error: String(error) }, "an update was refused");
        return { ok: false, reason: refusalOf(error) };
      }
    },
  });
  const end = () => {
    channel.leave();
    circle.close();
    access.removeJob(circle.jobId);
    void stopReceiving();
  };
  signal.addEventListener("abort", end, { once: true });
  return {
    send: async (to, kind, body, options) => {
      const timeoutMs = Math.max(1, options.deadlineMs - host.clock());
      const outcomes = await channel.sendToAll(to, kind, body, { timeoutMs, signal: options.signal });
      return outcomes.flatMap((outcome) => {
        if ("receipt" in outcome) return [outcome.to];
        const { code, message } = outcome.error as Error & { code?: string };
        // Whoever waits for the message is told by the next announcement; withdrawn ones are no failure.
        if (!options.signal.aborted) host.log.warn({ to: outcome.to, kind, code, reason: message }, "not delivered");
        return [];
      });
    },
    onMessage: (handler) => {
      onMessage = handler;
    },
    sendUpdate: async (to, round, bytes, options) => {
      const id = { job: circle.jobId, round, kind: UPDATE_KIND };
      return (await sendUpdate(host, to, id, bytes, options)).receiptBytes;
    },
    onUpdate: (admits, handler) => {
      admit = admits;
      onUpdate = handler;
    },
    fetchBlock: (from, cid, abort) =>
      codecOfCid(cid) === "dag-pb"
        ? fetchBytes(node, cid, { from, maxBytes: contentLimit(circle), signal: abort })
        : fetchBlock(host, from, cid, { signal: abort, partials }),
    follow: (membership) => {
      circle.follow(membership);
      access.setMembers(circle.jobId, membership.members);
      if (membership.keys) access.addBlocks(circle.jobId, [membership.keys.cid]);
    },
    traffic: () => host.traffic(),
  };
}

/** Bytes of an update, or of all weights with what their encoding adds. */
const contentLimit = ({ maxUpdateBytes }: JobCircle): number => 2 * maxUpdateBytes + 2 ** 20;

/** What the sender may know: texts of other errors can name files and addresses of this node. */
function refusalOf(error: unknown): string {
  if (error instanceof SwarmError) return error.message;
  return error instanceof SkyNetError ? error.code : "this node failed to check it";
}

/** A node's block store as a job sees it: what the job puts there, its members may fetch. */
export const jobBlocks = ({ blocks, access }: Pick<LocalNode, "blocks" | "access">, jobId: Hex): BlockPort => ({
  put: async (bytes, round) => {
    const cid = await putContent(blocks, bytes);
    const cids = await cidsOfContent(blocks, cid);
    if (round === undefined) blocks.pin(jobPin(jobId), cids);
    else pinForRound(blocks, jobId, round, cids);
    access.addBlocks(jobId, cids);
    return cid;
  },
  get: (cid) => getContent(blocks, cid),
});

const roundPin = (jobId: Hex, round: number): string => `${jobPin(jobId)}/round-${round}`;

/** Updates and weights of a round are needed until the next one has ended. */
function pinForRound(blocks: DiskBlockStore, jobId: Hex, round: number, cids: readonly string[]): void {
  blocks.pin(roundPin(jobId, round), cids);
  for (let old = round - 2; old >= 0 && blocks.unpin(roundPin(jobId, old)); old--);
}

/**
 * The published keys of a job: from the requester, or from a member that has them; another one is asked as soon as one
 * refuses, cannot be reached or keeps silent. They are wrapped for each member, so it does not matter who hands them over.
 * @throws what `fetchBlock` throws, and the signal's reason
 */
export async function fetchKeys(
  host: Host,
  cid: string,
  { requester, members }: { requester: Address; members: readonly Address[] },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const sources = [requester, ...members.filter((member) => member !== host.identity.address)];
  const deadline = AbortSignal.timeout(KEYS_MS);
  return fetchBlock(host, sources, cid, { signal: AbortSignal.any([signal, deadline]), silenceMs: KEYS_SILENCE_MS });
}
