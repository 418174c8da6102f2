import type { GossipSub } from "@libp2p/gossipsub";
import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { NetworkError, reasonOf } from "../errors.ts";
import { createSource } from "../host/framed-stream.ts";
import type { Log } from "../host/log.ts";
import { delay } from "../timing/delay.ts";
import type { Limits } from "./limits.ts";
import type { Offence } from "./scores.ts";
import { createTokenBucket, type TokenBucket } from "../timing/token-bucket.ts";
import { createFairShare, type Amount } from "./fair-share.ts";

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
  /** Whether the user named the peer as a relay: it forwards what others say, so it may say more. */
  readonly trusts: (peer: PeerId) => boolean;
  /** Peers of one name share one part of what all may say together. */
  readonly sharerOf: (peer: PeerId) => string;
  readonly offend: (peer: PeerId, offence: Offence) => void;
  /** Ends all connections with a peer. */
  readonly drop: (peer: PeerId, error: Error) => void;
}

/** Unread gossip of one neighbour above this makes it wait. */
const PAUSE_BYTES = 256 * 1024;
/** A burst may have four seconds' worth. */
const BURST_SECONDS = 4;
/** Parts of a relay that the user named, up to what all may say together. */
const TRUSTED_PARTS = 8;
/** How long it is remembered with whom a neighbour shares its part, milliseconds. */
const SHARER_MS = 1000;
/** Most messages that are handled in one turn. */
const PART_MESSAGES = 32;
/** Most topics that are not ours in one frame. */
const MAX_FOREIGN_TOPICS = 128;

/** What one neighbour may say, whatever the others do. */
interface Allowance {
  readonly parts: number;
  readonly messages: TokenBucket;
  readonly bytes: TokenBucket;
}

function createAllowance(parts: number, limits: Limits, clock: () => number): Allowance {
  const bucket = (one: number, all: number) => {
    const perSecond = Math.min(parts * one, Math.max(one, all));
    return createTokenBucket({ perSecond, burst: BURST_SECONDS * perSecond }, clock);
  };
  return {
    parts,
    messages: bucket(limits.messagesPerSecond, limits.messagesPerSecondOfAll),
    bytes: bucket(limits.bytesPerSecond, limits.bytesPerSecondOfAll),
  };
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
  const { limits, clock, log, signal, trusts, sharerOf, offend, drop } = options;
  const gossip = pubsub as unknown as GossipInternals;
  const all = createFairShare({
    perSecond: { messages: limits.messagesPerSecondOfAll, bytes: limits.bytesPerSecondOfAll },
    burstSeconds: BURST_SECONDS,
    clock,
    signal,
  });

  /** Waits until the neighbour may send more, then for its turn. Seconds of its own rate are held against it. */
  const createThrottle = (peer: PeerId) => {
    let own = createAllowance(1, limits, clock);
    let waitedMs = 0;
    let sharer = sharerOf(peer);
    let askedMs = clock();
    return async (cost: Amount) => {
      // To find out takes as long as a message; who dialled, and who is trusted, changes seldom.
      if (Math.abs(clock() - askedMs) >= SHARER_MS) [sharer, askedMs] = [sharerOf(peer), clock()];
      // Asked each time: a node learns only after a while which of its neighbours is the relay that was named.
      if (own.parts === 1 && Math.min(own.messages.left(), own.bytes.left()) < 0.5 && trusts(peer))
        own = createAllowance(TRUSTED_PARTS, limits, clock);
      const ownMs = Math.max(own.messages.spend(cost.messages), own.bytes.spend(cost.bytes));
      for (waitedMs += ownMs; waitedMs >= 1000; waitedMs -= 1000) offend(peer, "flood");
      if (ownMs > 0) await delay(ownMs, signal);
      await all.turn(sharer, cost, own.parts);
    };
  };
  const readFrames = async (peer: PeerId, stream: Stream) => {
    const throttle = createThrottle(peer);
    const source = createSource(stream, PAUSE_BYTES);
    for (;;) {
      const frame = await readVarintFrame(source, limits);
      if (frame === undefined) return;
      const rpc = decodeFrame(gossip, frame);
      if (rpc === undefined) {
        offend(peer, "undecodable");
        await throttle({ messages: 1, bytes: frame.length });
        continue;
      }
      if (rpc.subscriptions.length > MAX_FOREIGN_TOPICS) offend(peer, "flood");
      const parts = partsOf(rpc);
      for (const part of parts) {
        await throttle({ messages: costOf(part), bytes: frame.length / parts.length });
        await gossip.handleReceivedRpc(peer, part).catch((error: unknown) => {
          log.debug({ peer: peer.toString(), error: reasonOf(error) }, "a gossip frame could not be processed");
        });
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
      if (["Malformed", "TooLarge", "Stalled"].includes(error.code)) drop(peer, error); // It is scored at its end.
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

/**
 * A frame behind its length as a varint. It may begin at any time; then its bytes must come.
 * @throws NetworkError `TooLarge`, `Malformed`, `Stalled`
 */
async function readVarintFrame(
  source: ReturnType<typeof createSource>,
  { gossipFrame, stallMs }: Limits,
): Promise<Uint8Array | undefined> {
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = (await source.take(1, shift === 0 ? undefined : stallMs))?.[0];
    if (byte === undefined && shift === 0) return undefined;
    if (byte === undefined || shift > 28) throw new NetworkError("Malformed", "a frame without a length");
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (length > gossipFrame)
    throw new NetworkError("TooLarge", `a frame of ${length} bytes, at most ${gossipFrame} are allowed`);
  if (length === 0) return new Uint8Array();
  const frame = await source.take(length, stallMs);
  if (frame === undefined) throw new NetworkError("Malformed", "the stream ended within a frame");
  return frame;
}
