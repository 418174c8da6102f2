import type { UdpAddress } from "./stun-message.ts";

/** What a NAT does to the UDP port of one socket, seen by several servers (RFC 5780, section 4.3). */
export type NatKind =
  | "none" // the outside address is one of this machine
  | "endpoint-independent" // the same outside port for everybody: WebRTC gets through
  | "symmetric" // another outside port for every destination: only relays get through
  | "udp-blocked" // no server answered
  | "unclear" // a NAT, but only one server answered: nothing to compare
  | "unknown"; // no server to ask

/** One question to one server, all from one socket. */
export interface Observation {
  readonly server: UdpAddress;
  /** Undefined: no answer. */
  readonly mapped: UdpAddress | undefined;
}

/**
 * @param local addresses of this machine's interfaces
 * @param localPort port of the socket that asked
 */
export function classifyNat(
  observations: readonly Observation[],
  local: readonly string[],
  localPort: number,
): NatKind {
  if (observations.length === 0) return "unknown";
  const answered = observations.filter(({ mapped }) => mapped !== undefined);
  const answers = answered.flatMap(({ mapped }) => mapped ?? []);
  const [first] = answers;
  if (first === undefined) return "udp-blocked";
  if (answers.some(({ host, port }) => host !== first.host || port !== first.port)) return "symmetric";
  if (local.includes(first.host) && first.port === localPort) return "none";
  const servers = new Set(answered.map(({ server }) => `${server.host} ${server.port}`));
  return servers.size < 2 ? "unclear" : "endpoint-independent";
}
