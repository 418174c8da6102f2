import type { NetworkTransport } from "../transports/transport.ts";

/** Where a node listens through relays: one reservation each, and WebRTC that is arranged over them. */
export function relayedListen(transports: readonly NetworkTransport[], reservations: number): string[] {
  const has = (name: string) => transports.some((transport) => transport.name === name);
  if (reservations === 0 || !has("circuit")) return [];
  const circuits = Array.from({ length: reservations }, () => "/p2p-circuit");
  return has("webrtc") ? [...circuits, "/webrtc"] : circuits;
}
