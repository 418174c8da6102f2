import type { Connection, PeerId } from "@libp2p/interface";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Pubsub } from "../host/pubsub.ts";
import { untilAborted } from "../timing/until-aborted.ts";
import { delay, deadlineSignal } from "../timing/delay.ts";
import { NetworkError } from "../errors.ts";

/** A relay subscribes to our topic within this time. */
const SUBSCRIBE_TIMEOUT_MS = 8000;
const PING_EVERY_MS = 3000;
const PING_TIMEOUT_MS = 3000;
/** A machine that is busy for a moment keeps its connection. */
const MISSED_PINGS = 2;
/** Peers below it are ignored by gossipsub as well: they sent what no honest relay sends. */
const LEAST_SCORE = -80;

/** Resolves when the peer relays our topic. @throws NetworkError `NotARelay` */
export async function relaysTopic(pubsub: Pubsub, peer: PeerId, signal: AbortSignal): Promise<void> {
  const late = () => new NetworkError("NotARelay", "it does not relay messages of this network");
  const deadline = deadlineSignal(SUBSCRIBE_TIMEOUT_MS, late, signal);
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => {
    if (pubsub.isNeighbour(peer)) resolve();
  };
  const end = pubsub.onNeighbour(look);
  try {
    look();
    await untilAborted(promise, deadline.signal);
  } finally {
    end();
    deadline.clear();
  }
}

/** Round trip to a peer in milliseconds. @throws NetworkError `Stalled` */
export async function roundTrip(node: BaseNode, peer: PeerId, signal: AbortSignal): Promise<number> {
  const late = () => new NetworkError("Stalled", `it has not answered for ${PING_TIMEOUT_MS / 1000} s`);
  const deadline = deadlineSignal(PING_TIMEOUT_MS, late, signal);
  try {
    return await node.services.ping.ping(peer, { signal: deadline.signal });
  } catch (error) {
    throw deadline.signal.aborted ? (deadline.signal.reason as Error) : error;
  } finally {
    deadline.clear();
  }
}

export interface WatchOptions {
  readonly node: BaseNode;
  readonly pubsub: Pubsub;
  readonly connection: Connection;
  readonly signal: AbortSignal;
  readonly onAnswer: (latencyMs: number) => void;
}

/** Resolves with the reason when a relay's connection has ended, does not answer any more, or misbehaves. */
export async function untilDead({ node, pubsub, connection, signal, onAnswer }: WatchOptions): Promise<string> {
  const ended = new AbortController();
  const close = () => ended.abort(new NetworkError("Unreachable", "the connection was closed"));
  connection.addEventListener("close", close, { once: true });
  if (connection.status !== "open") close();
  const either = AbortSignal.any([signal, ended.signal]);
  try {
    for (let missed = 0; !either.aborted;) {
      try {
        onAnswer(await roundTrip(node, connection.remotePeer, either));
        missed = 0;
      } catch (error) {
        missed += 1;
        if (missed >= MISSED_PINGS && !either.aborted) return (error as Error).message;
      }
      if (pubsub.score(connection.remotePeer) < LEAST_SCORE) return "it misbehaved";
      await delay(PING_EVERY_MS, either).catch(() => undefined);
    }
    return (either.reason as Error).message;
  } finally {
    connection.removeEventListener("close", close);
  }
}
