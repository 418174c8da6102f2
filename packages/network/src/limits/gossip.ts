import type { GossipSub } from "@libp2p/gossipsub";
import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { NetworkError, reasonOf } from "../errors.ts";
import { createSource } from "../host/framed-stream.ts";
import type { Log } from "../host/log.ts";
import { delay } from "../timing/delay.ts";
import type { Limits } from "./limits.ts";
import type { Offence } from "./scores.ts";
import { createTokenBucket, type TokenBucket } from "../timing/token-bucket.ts";

interface Ids {
  readonly messageIDs?: readonly Uint8Array[];
}

/** A gossip frame, as far as it is counted here. */
interface Rpc {
  readonly subscriptions: readonly unknown[];
  readonly messages: readonly unknown[];
  readonly control?: {
    readonly ihave?: readonly Ids[];
    readonly iwant?: readonly Ids[];
    readonly idontwant?: readonly Ids[];
    readonly graft?: readonly unknown[];
    readonly prune?: readonly unknown[];
  };
}

/** The parts of gossipsub 17.1.1 behind its interface. */
export interface GossipInternals {
  readonly peers: ReadonlyMap<string, PeerId>;
  readonly streamsInbound: Map<string, { close(): Promise<void> }>;
  readonly streamsOutbound: ReadonlyMap<string, unknown>;
  getScore(peerId: string): number;
  decodeRpc(bytes: Uint8Array): Rpc;
  handleReceivedRpc(peer: PeerId, rpc: Rpc): Promise<void>;
  createInboundStream(peer: PeerId, stream: Stream): void;
  createOutboundStream(peer: PeerId, connection: Connection): Promise<void>;
}

interface GossipGuardOptions {
  readonly limits: Limits;
  readonly clock: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Whether we opened a connection to the peer: relays that we chose forward what others say, so they may say more. */
  readonly chosen: (peer: PeerId) => boolean;
  readonly offend: (peer: PeerId, offence: Offence) => void;
  /** Ends all connections with a peer. */
  readonly drop: (peer: PeerId, error: Error) => void;
}

/** Unread gossip of one neighbour above this makes it wait. */
const PAUSE_BYTES = 256 * 1024;
/** A burst may have four seconds' worth. */
const BURST_SECONDS = 4;
const CHOSEN_FACTOR = 8;
/** Messages that are handled without a pause for others. */
const PART_MESSAGES = 32;
/** Most topics that are not ours in one frame. */
const MAX_FOREIGN_TOPICS = 128;

interface Allowance {
  readonly messages: TokenBucket;
  readonly bytes: TokenBucket;
}

/** What a frame costs: its messages, and its lists in parts. */
function costOf({ messages, subscriptions, control }: Rpc): number {
  const lists = [control?.ihave, control?.iwant, control?.idontwant].flatMap((list) => list ?? []);
  const ids = lists.reduce((sum, { messageIDs }) => sum + (messageIDs?.length ?? 0), 0);
  const others = (control?.graft?.length ?? 0) + (control?.prune?.length ?? 0) + lists.length;
  return 1 + messages.length + others + Math.ceil((subscriptions.length + ids) / 64);
}

/** A frame in parts of some messages, so that a large one does not keep everybody else waiting. */
function partsOf(rpc: Rpc): Rpc[] {
  const { messages } = rpc;
  const parts: Rpc[] = [{ ...rpc, messages: messages.slice(0, PART_MESSAGES) }];
  for (let i = PART_MESSAGES; i < messages.length; i += PART_MESSAGES)
    parts.push({ subscriptions: [], messages: messages.slice(i, i + PART_MESSAGES) });
  return parts;
}

/**
 * Makes gossipsub read as fast as each neighbour may send, and no faster: one frame at a time, with backpressure on
 * the stream, where gossipsub itself reads without bound. Neighbours that keep sending too much, or nonsense, are
 * scored. Streams to neighbours are opened side by side: gossipsub waits for one before it opens the next, so that
 * one silent peer would keep all that come after it waiting.
 */
export function guardGossip(pubsub: GossipSub, options: GossipGuardOptions): void {
  const { limits, clock, log, signal, chosen, offend, drop } = options;
  const gossip = pubsub as unknown as GossipInternals;
  const allowance = (messages: number, bytes: number): Allowance => ({
    messages: createTokenBucket({ perSecond: messages, burst: BURST_SECONDS * messages }, clock),
    bytes: createTokenBucket({ perSecond: bytes, burst: BURST_SECONDS * bytes }, clock),
  });
  const all = allowance(limits.messagesPerSecondOfAll, limits.bytesPerSecondOfAll);

  /** Waits until the neighbour, and all together, may send more. Seconds that its own rate costs are held against it. */
  const throttle = async (peer: PeerId, own: Allowance, cost: number, bytes: number, waited: { ms: number }) => {
    const ownMs = Math.max(own.messages.spend(cost), own.bytes.spend(bytes));
    const sharedMs = Math.max(all.messages.spend(cost), all.bytes.spend(bytes));
    // Whoever says little does not queue behind those who say much.
    const light = own.messages.left() > 0.5 && own.bytes.left() > 0.5;
    const waitMs = light ? 0 : Math.max(ownMs, sharedMs);
    if (waitMs <= 0) return;
    for (waited.ms += ownMs; waited.ms >= 1000; waited.ms -= 1000) offend(peer, "flood");
    await delay(waitMs, signal);
  };
  const readFrames = async (peer: PeerId, stream: Stream) => {
    const factor = chosen(peer) ? CHOSEN_FACTOR : 1;
    const own = allowance(factor * limits.messagesPerSecond, factor * limits.bytesPerSecond);
    const source = createSource(stream, PAUSE_BYTES);
    const waited = { ms: 0 };
    for (;;) {
      const frame = await readVarintFrame(source, limits.gossipFrame);
      if (frame === undefined) return;
      const rpc = decodeFrame(gossip, frame);
      if (rpc === undefined) {
        offend(peer, "undecodable");
        await throttle(peer, own, 1, frame.length, waited);
        continue;
      }
      if (rpc.subscriptions.length > MAX_FOREIGN_TOPICS) offend(peer, "flood");
      const parts = partsOf(rpc);
      for (const part of parts) {
        await throttle(peer, own, costOf(part), frame.length / parts.length, waited);
        await gossip.handleReceivedRpc(peer, part).catch((error: unknown) => {
          log.debug({ peer: peer.toString(), error: reasonOf(error) }, "a gossip frame could not be processed");
        });
        if (part.messages.length === PART_MESSAGES) await delay(0, signal);
      }
    }
  };
  gossip.createInboundStream = (peer, stream) => {
    const id = peer.toString();
    const before = gossip.streamsInbound.get(id);
    const current = { close: () => stream.close() };
    gossip.streamsInbound.set(id, current);
    before?.close().catch(() => undefined); // It ends by itself when the connection does.
    readFrames(peer, stream).catch((error: unknown) => {
      stream.abort(error instanceof Error ? error : new Error(reasonOf(error)));
      if (signal.aborted || !(error instanceof NetworkError)) return;
      if (error.code === "TooLarge") offend(peer, "oversized");
      if (error.code === "Malformed" || error.code === "TooLarge") drop(peer, error);
    });
  };
  guardOutbound(gossip);
}

/** Opens streams to different peers side by side, and to one peer one after the other. */
function guardOutbound(gossip: GossipInternals): void {
  const open = gossip.createOutboundStream.bind(gossip);
  const opening = new Map<string, Promise<void>>();
  gossip.createOutboundStream = async (peer, connection) => {
    const id = peer.toString();
    const after = opening.get(id) ?? Promise.resolve();
    const mine = after.then(() => open(peer, connection)).catch(() => undefined); // gossipsub has logged it.
    opening.set(id, mine);
    void mine.then(() => opening.get(id) === mine && opening.delete(id));
  };
}

function decodeFrame(gossip: GossipInternals, frame: Uint8Array): Rpc | undefined {
  try {
    return gossip.decodeRpc(frame);
  } catch {
    return undefined; // Not protobuf, or more entries than the limits allow.
  }
}

/** A frame behind its length as a varint. @throws NetworkError `TooLarge`, `Malformed` */
async function readVarintFrame(
  source: ReturnType<typeof createSource>,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = (await source.take(1))?.[0];
    if (byte === undefined && shift === 0) return undefined;
    if (byte === undefined || shift > 28) throw new NetworkError("Malformed", "a frame without a length");
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (length > maxBytes)
    throw new NetworkError("TooLarge", `a frame of ${length} bytes, at most ${maxBytes} are allowed`);
  if (length === 0) return new Uint8Array();
  const frame = await source.take(length);
  if (frame === undefined) throw new NetworkError("Malformed", "the stream ended within a frame");
  return frame;
}
