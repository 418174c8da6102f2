import { circuitRelayServer, type CircuitRelayServerComponents } from "@libp2p/circuit-relay-v2";
import type { Connection, PeerId, Stream } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { createFairShare } from "../limits/fair-share.ts";

/** What a relay lends to nodes that cannot be reached. An address is an IPv4 address or an IPv6 /64. */
export interface CircuitLimits {
  /** Nodes that may be reached through this relay at the same time (1024). */
  readonly maxReservations: number;
  /** Of these, nodes of one address (64). */
  readonly maxReservationsPerAddress: number;
  /** How long a reservation holds before it is renewed, milliseconds (one hour). */
  readonly reservationMs: number;
  /** Bytes in both directions of one circuit (1 GiB: the updates of some rounds). */
  readonly maxBytesPerCircuit: number;
  /** Longest time of one circuit, milliseconds (ten minutes); then the two nodes open the next one. */
  readonly maxMsPerCircuit: number;
  /** Circuits that all nodes may have open at the same time (1024). */
  readonly maxCircuits: number;
  /** Circuits that one node, or all nodes of one address, may open at the same time (256). */
  readonly maxCircuitsPerNode: number;
  /** Bytes a second that all circuits carry together, in both directions (128 MiB); addresses share them evenly. */
  readonly circuitBytesPerSecond: number;
}

export const DEFAULT_CIRCUIT_LIMITS: CircuitLimits = {
  maxReservations: 1024,
  maxReservationsPerAddress: 64,
  reservationMs: 3_600_000,
  maxBytesPerCircuit: 1024 ** 3,
  maxMsPerCircuit: 600_000,
  maxCircuits: 1024,
  maxCircuitsPerNode: 256,
  circuitBytesPerSecond: 128 * 1024 ** 2,
};

/** What a relay lends at this moment, and what it has carried and refused since its start. */
export interface CircuitFigures {
  /** Nodes that may be reached through it. */
  readonly reservations: number;
  /** Connections between two nodes that it carries. */
  readonly circuits: number;
  /** In both directions. */
  readonly bytes: number;
  readonly refusedReservations: number;
  readonly refusedCircuits: number;
}

export interface CircuitModules {
  readonly clock: () => number;
  readonly signal: AbortSignal;
  /** The address that is held responsible; undefined where there is none. */
  readonly liable: (address: Multiaddr) => string | undefined;
}

/** What we use of libp2p's relay besides its public face. */
interface RelayServer {
  readonly reservationStore: {
    readonly reservations: { readonly size: number; values(): Iterable<Reservation>; get(peer: PeerId): unknown };
    reserve(peer: PeerId, address: Multiaddr, limit?: unknown): { readonly status: string };
  };
  onHop(stream: Stream, connection: Connection): Promise<void>;
  handleConnect(request: ConnectRequest, options: unknown): Promise<void>;
  stopHop(request: unknown, options: unknown): Promise<Stream | undefined>;
}

interface Reservation {
  readonly addr: Multiaddr;
}

interface ConnectRequest {
  readonly connection: Connection;
  readonly stream: { pb(codec: unknown): { write(message: unknown, options: unknown): Promise<void> } };
}

/** HopMessage of circuit relay v2: type STATUS, status RESOURCE_LIMIT_EXCEEDED. */
const LIMIT_EXCEEDED = { encode: () => Uint8Array.of(0x08, 2, 0x28, 0xc9, 0x01) };
const RESERVATION_REFUSED = { status: "RESERVATION_REFUSED" };
/** Bytes of so many seconds may be carried at once after a pause. */
const BURST_SECONDS = 1;

/** Asks for so many bytes of what all circuits carry: undefined when they are there, else when their turn comes. */
type Pace = (bytes: number) => Promise<void> | undefined;

/**
 * Reads `from` no faster than `to` is written and than `pace` allows: libp2p's relay would keep the difference in
 * memory. What is not read holds the sender back.
 */
function holdBack(from: Stream, to: Stream, pace: Pace): void {
  const send = to.send.bind(to);
  let turns = 0;
  const goOn = () => {
    if (from.readStatus === "paused" && !to.writableNeedsDrain && turns === 0) from.resume();
  };
  to.send = (data) => {
    const turn = pace(data.byteLength);
    const more = send(data);
    if (turn !== undefined) {
      turns++;
      const taken = () => {
        turns--;
        goOn();
      };
      turn.then(taken, () => undefined); // The node stops.
    }
    if ((!more || turn !== undefined) && from.readStatus === "readable") from.pause();
    return more;
  };
  to.addEventListener("drain", goOn);
}

/** Counts the circuits of all, and of each address that opens them. */
class OpenCircuits {
  readonly #limits: CircuitLimits;
  readonly #byOwner = new Map<string, number>();
  #all = 0;
  carried = 0;
  bytes = 0;
  refused = 0;

  constructor(limits: CircuitLimits) {
    this.#limits = limits;
  }

  /** @returns a function that gives the place back; undefined when there is none */
  enter(owner: string): (() => void) | undefined {
    const own = this.#byOwner.get(owner) ?? 0;
    if (this.#all >= this.#limits.maxCircuits || own >= this.#limits.maxCircuitsPerNode) {
      this.refused++;
      return undefined;
    }
    this.#all++;
    this.#byOwner.set(owner, own + 1);
    return () => {
      this.#all--;
      const left = this.#byOwner.get(owner)! - 1;
      if (left === 0) this.#byOwner.delete(owner);
      else this.#byOwner.set(owner, left);
    };
  }

  /** A circuit carries bytes until its stream to the target ends; then it leaves. */
  carry(target: Stream, leave: () => void): void {
    this.carried++;
    const end = () => {
      this.carried--;
      leave();
    };
    target.addEventListener("close", end, { once: true });
  }
}

/** One address cannot take the places of all others with new identities. @returns how often it was refused */
function limitReservations(
  { reservationStore: store }: RelayServer,
  { maxReservationsPerAddress }: CircuitLimits,
  liable: CircuitModules["liable"],
): () => number {
  let refused = 0;
  const reserve = store.reserve.bind(store);
  store.reserve = (peer, address, limit) => {
    const owner = liable(address);
    let own = 0;
    if (owner !== undefined && store.reservations.get(peer) === undefined)
      for (const { addr } of store.reservations.values()) if (liable(addr) === owner) own++;
    const result = own >= maxReservationsPerAddress ? RESERVATION_REFUSED : reserve(peer, address, limit);
    if (result.status === RESERVATION_REFUSED.status) refused++;
    return result;
  };
  return () => refused;
}

/** Service of circuit relay v2 with limits for all nodes together and with back-pressure between the two nodes. */
export function circuitService(limits: CircuitLimits, { clock, signal, liable }: CircuitModules) {
  const create = circuitRelayServer({
    reservations: {
      maxReservations: limits.maxReservations,
      reservationTtl: limits.reservationMs,
      defaultDataLimit: BigInt(limits.maxBytesPerCircuit),
      defaultDurationLimit: limits.maxMsPerCircuit,
    },
    maxInboundHopStreams: limits.maxCircuitsPerNode,
    maxOutboundStopStreams: limits.maxCircuitsPerNode,
  });
  const perSecond = { messages: Number.MAX_SAFE_INTEGER, bytes: limits.circuitBytesPerSecond };
  const share = createFairShare({ perSecond, burstSeconds: BURST_SECONDS, clock, signal });
  const open = new OpenCircuits(limits);
  return (components: CircuitRelayServerComponents) => {
    const service = create(components);
    const server = service as unknown as RelayServer;
    const refusedReservations = limitReservations(server, limits, liable);
    server.onHop = limitedHop(server, open, {
      ownerOf: ({ remoteAddr, remotePeer }) => liable(remoteAddr) ?? remotePeer.toString(),
      paceOf: (owner) => (bytes) => {
        open.bytes += bytes;
        const cost = { messages: 0, bytes };
        return share.take(owner, cost) ? undefined : share.turn(owner, cost);
      },
    });
    const figures = (): CircuitFigures => ({
      reservations: service.reservations.size,
      circuits: open.carried,
      bytes: open.bytes,
      refusedReservations: refusedReservations(),
      refusedCircuits: open.refused,
    });
    return Object.assign(service, { figures });
  };
}

interface HopModules {
  readonly ownerOf: (connection: Connection) => string;
  readonly paceOf: (owner: string) => Pace;
}

/** Answers hop requests one by one, each with its own place among the open circuits. */
function limitedHop(server: RelayServer, open: OpenCircuits, { ownerOf, paceOf }: HopModules): RelayServer["onHop"] {
  const { onHop, handleConnect } = Object.getPrototypeOf(server) as RelayServer;
  return (source, connection) => {
    const owner = ownerOf(connection);
    let leave: (() => void) | undefined;
    let target: Stream | undefined;
    const hop = Object.create(server) as RelayServer;
    hop.handleConnect = async (request, options) => {
      leave = open.enter(owner);
      if (leave === undefined) return request.stream.pb(LIMIT_EXCEEDED).write({}, options);
      try {
        await handleConnect.call(hop, request, options);
      } catch (error) {
        target?.abort(error as Error);
        throw error;
      } finally {
        leave?.(); // Nothing was carried.
      }
    };
    hop.stopHop = async (request, options) => {
      target = await server.stopHop(request, options);
      if (target === undefined) return target;
      holdBack(source, target, paceOf(owner));
      holdBack(target, source, paceOf(owner));
      open.carry(target, leave!);
      leave = undefined;
      return target;
    };
    return onHop.call(hop, source, connection);
  };
}
