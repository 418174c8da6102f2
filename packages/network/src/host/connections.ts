import type { Connection } from "@libp2p/interface";
import type { Hex } from "@skynet/protocol";
import type { CircuitFigures } from "../nat/circuit-service.ts";
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

/** Undefined on nodes that are no relay. */
export function circuitFigures(node: BaseNode): CircuitFigures | undefined {
  const { circuits } = node.services as { circuits?: { readonly figures?: () => CircuitFigures } };
  return circuits?.figures?.();
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
