import type { Connection, PeerId } from "@libp2p/interface";
import { multiaddr, type Multiaddr } from "@multiformats/multiaddr";
import { NetworkError } from "../errors.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import { byPreference, pathOf, type Path } from "./addresses.ts";
import { firstOf, type Attempt } from "./first-of.ts";

/** Another address of the same rung is tried after this time, as the first one may be of another network. */
const NEXT_ADDRESS_MS = 250;
/** How long a rung has before the next one is tried as well; relays share the time of theirs. */
const HEAD_START_MS: Record<Path, number> = { direct: 1500, webrtc: 5000, relayed: 4000 };
const TIMEOUT_MS: Record<Path, number> = { direct: 5000, webrtc: 15_000, relayed: 10_000 };
const RUNGS: readonly Path[] = ["direct", "webrtc", "relayed"];

/** Addresses of one rung, the most promising first. */
function ofRung(addresses: readonly Multiaddr[], rung: Path): Multiaddr[] {
  return addresses.filter((address) => pathOf(address) === rung).toSorted(byPreference);
}

/** A direct connection that the peer has opened meanwhile, or that was there already. */
function directConnection(node: BaseNode, peer: PeerId): Connection | undefined {
  return node.getConnections(peer).find(({ limits, status }) => limits === undefined && status === "open");
}

/** @throws NetworkError `Unreachable` when another node answers: not every transport looks at the PeerId */
async function dialPeer(
  node: BaseNode,
  { peer, fresh }: ClimbOptions,
  address: Multiaddr,
  signal: AbortSignal,
): Promise<Connection> {
  const open = fresh ? undefined : directConnection(node, peer);
  if (open !== undefined) return open;
  const connection = await node.services.dialler.dial(address, { signal });
  if (connection.remotePeer.equals(peer)) return connection;
  const error = new NetworkError("Unreachable", `another node answers at ${address.toString()}`);
  connection.abort(error);
  throw error;
}

function attemptsOf(node: BaseNode, options: ClimbOptions): Attempt<Connection>[] {
  const { multiaddrs, rungs = RUNGS } = options;
  const addresses = multiaddrs.map((text) => multiaddr(text));
  return rungs.flatMap((rung) => {
    const ways = ofRung(addresses, rung);
    const sharing = rung === "direct" ? 1 : ways.length;
    return ways.map((address, i) => ({
      run: (signal: AbortSignal) => dialPeer(node, options, address, signal),
      headStartMs: rung === "direct" && i < ways.length - 1 ? NEXT_ADDRESS_MS : HEAD_START_MS[rung] / sharing,
      timeoutMs: TIMEOUT_MS[rung],
    }));
  });
}

export interface ClimbOptions {
  readonly peer: PeerId;
  readonly multiaddrs: readonly string[];
  /** Which ways to try; all by default. */
  readonly rungs?: readonly Path[];
  /** A connection of its own, also when one is open. */
  readonly fresh?: boolean;
  readonly signal: AbortSignal;
}

/**
 * Connects to a peer: over its direct addresses, else over WebRTC that a relay arranges, else through a relay. A rung
 * has a head start; then the next one is tried besides. A direct connection that the peer opens meanwhile is taken
 * before the next attempt, but ends no attempt that runs: the peer may be about to use that one.
 * @throws AggregateError with the reason of each address
 */
export async function climb(node: BaseNode, options: ClimbOptions): Promise<Connection> {
  try {
    return await firstOf(attemptsOf(node, options), options.signal);
  } catch (error) {
    const open = options.fresh ? undefined : directConnection(node, options.peer);
    if (open !== undefined) return open;
    throw error;
  }
}
