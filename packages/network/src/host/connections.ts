import type { Connection } from "@libp2p/interface";
import type { Hex } from "@skynet/protocol";
import type { CircuitRelayService } from "@libp2p/circuit-relay-v2";
import { remoteAddress } from "./connect.ts";
import type { BaseNode } from "./libp2p-node.ts";

/** How two nodes are connected. */
export type ConnectionKind = "tcp" | "quic" | "websockets" | "webrtc" | "circuit" | "memory" | "other";

export interface ConnectionInfo {
  /** Undefined for peers with another kind of key. */
  readonly peer: Hex | undefined;
  readonly kind: ConnectionKind;
  readonly direction: "inbound" | "outbound";
  readonly remote: string;
  /** Protocol of each stream; empty while it is negotiated. */
  readonly streams: readonly string[];
}

export function connectionInfo(connection: Connection): ConnectionInfo {
  const { direction, remoteAddr } = connection;
  const streams = connection.streams.map(({ protocol }) => protocol);
  const remote = remoteAddr.toString();
  return { peer: remoteAddress(connection), kind: kindOf(remote), direction, remote, streams };
}

/** What a relay lends at this moment. */
export interface CircuitFigures {
  /** Nodes that may be reached through it. */
  readonly reservations: number;
  /** Connections between two nodes that it carries. */
  readonly circuits: number;
}

const STOP_PROTOCOL = "/libp2p/circuit/relay/0.2.0/stop";

/** Undefined on nodes that are no relay. */
export function circuitFigures(node: BaseNode): CircuitFigures | undefined {
  const { circuits } = node.services as { circuits?: Partial<CircuitRelayService> };
  if (circuits?.reservations === undefined) return undefined;
  const streams = node.getConnections().flatMap((connection) => connection.streams);
  const open = streams.filter(({ protocol, direction }) => protocol === STOP_PROTOCOL && direction === "outbound");
  return { reservations: circuits.reservations.size, circuits: open.length };
}

function kindOf(remote: string): ConnectionKind {
  const parts = new Set(remote.split("/"));
  // A WebRTC connection that was arranged over a relay has the relay in its address, too.
  if (parts.has("webrtc") || parts.has("webrtc-direct")) return "webrtc";
  if (parts.has("p2p-circuit")) return "circuit";
  if (parts.has("quic-v1")) return "quic";
  if (parts.has("ws") || parts.has("wss")) return "websockets";
  if (parts.has("memory")) return "memory";
  return parts.has("tcp") ? "tcp" : "other";
}
