import type { ConnectionGater, MultiaddrConnection, PeerId } from "@libp2p/interface";
import type { Drops } from "../host/drops.ts";
import { NetworkError } from "../errors.ts";
import { liableGroup } from "./address.ts";
import type { Limits } from "./limits.ts";
import type { PeerScores } from "./scores.ts";
import { createTokenBucket, type TokenBucket } from "../timing/token-bucket.ts";

/** Most addresses whose rate is remembered. */
const MOST_ADDRESSES = 4096;
/** A refused address gets this part of the usual handshakes: for its other peers that behaved. */
const REFUSED_PART = 4;

const tooMany = () => new NetworkError("Flooded", "too many handshakes are under way");

interface GateOptions {
  readonly limits: Limits;
  readonly scores: PeerScores;
  readonly drops: Drops;
  readonly clock: () => number;
  /** Open connections with a peer. */
  readonly connectionsWith: (peer: PeerId) => number;
}

/** What an address has open and pending, and how many more it may open now. */
interface Usage {
  open: number;
  pending: number;
  readonly rate: TokenBucket;
}

/**
 * Decides which connections come in: by address before anything is read, by peer after the handshake. The counts
 * belong to sockets, so they are right whatever the handshake does.
 */
export function createGate({ limits, scores, drops, clock, connectionsWith }: GateOptions): ConnectionGater {
  const addresses = new Map<string, Usage>();
  const pending = new Map<MultiaddrConnection, Usage | undefined>();

  const usageOf = (key: string): Usage => {
    const known = addresses.get(key);
    if (known !== undefined) return known;
    if (addresses.size >= MOST_ADDRESSES)
      for (const [other, { open }] of addresses) if (open === 0 && addresses.delete(other)) break;
    const rate = createTokenBucket({ perSecond: limits.connectionsPerSecond, burst: limits.connectionBurst }, clock);
    const usage = { open: 0, pending: 0, rate };
    addresses.set(key, usage);
    return usage;
  };
  const mayEnter = (key: string, usage: Usage): boolean => {
    const part = scores.addressBanned(key) ? REFUSED_PART : 1;
    return (
      usage.open < limits.connectionsPerAddress &&
      usage.pending < limits.pendingPerAddress / part &&
      usage.rate.take(part)
    );
  };
  const settled = (connection: MultiaddrConnection): boolean => {
    const usage = pending.get(connection);
    if (usage !== undefined) usage.pending -= 1;
    return pending.delete(connection);
  };
  const refuse = (): true => {
    drops.count("refusedConnection");
    return true;
  };
  return {
    denyDialMultiaddr: () => false,
    denyDialPeer: (peer) => scores.banned(peer.toString()),
    denyInboundConnection(connection) {
      const group = liableGroup(connection.remoteAddr, limits);
      const usage = group === undefined ? undefined : usageOf(group);
      if (group !== undefined && !mayEnter(group, usage!)) return refuse();
      if (usage !== undefined) {
        usage.open += 1;
        usage.pending += 1;
      }
      // The longest pending makes room: a real handshake is shorter than one that is kept open.
      if (pending.size >= limits.pendingConnections) pending.keys().next().value!.abort(tooMany());
      pending.set(connection, usage);
      connection.addEventListener(
        "close",
        () => {
          if (usage !== undefined) usage.open -= 1;
          if (settled(connection)) drops.count("failedHandshake");
        },
        { once: true },
      );
      return false;
    },
    denyInboundEncryptedConnection(peer, connection) {
      const id = peer.toString();
      const group = liableGroup(connection.remoteAddr, limits);
      const stranger = group !== undefined && scores.addressBanned(group) && !scores.hasStanding(id);
      if (!stranger && !scores.banned(id) && connectionsWith(peer) < limits.connectionsPerPeer) return false;
      settled(connection);
      return refuse();
    },
    denyInboundUpgradedConnection(_peer, connection) {
      settled(connection);
      return false;
    },
  };
}
