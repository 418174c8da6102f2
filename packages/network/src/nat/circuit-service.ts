import { circuitRelayServer, type CircuitRelayServerComponents } from "@libp2p/circuit-relay-v2";
import type { Connection, Stream } from "@libp2p/interface";

/** What a relay lends to nodes that cannot be reached. */
export interface CircuitLimits {
  /** Nodes that may be reached through this relay at the same time (1024). */
  readonly maxReservations: number;
  /** How long a reservation holds before it is renewed, milliseconds (one hour). */
  readonly reservationMs: number;
  /** Bytes in both directions of one circuit (1 GiB: the updates of some rounds). */
  readonly maxBytesPerCircuit: number;
  /** Longest time of one circuit, milliseconds (ten minutes); then the two nodes open the next one. */
  readonly maxMsPerCircuit: number;
  /** Circuits that one node may open at the same time (256). */
  readonly maxCircuitsPerNode: number;
}

export const DEFAULT_CIRCUIT_LIMITS: CircuitLimits = {
  maxReservations: 1024,
  reservationMs: 3_600_000,
  maxBytesPerCircuit: 1024 ** 3,
  maxMsPerCircuit: 600_000,
  maxCircuitsPerNode: 256,
};

/** What we use of libp2p's relay besides its public face. */
interface RelayServer {
  onHop(stream: Stream, connection: Connection): Promise<void>;
  stopHop(request: unknown, options: unknown): Promise<Stream | undefined>;
}

/** Reads `from` no faster than `to` is written: libp2p's relay would keep the difference in memory. */
function holdBack(from: Stream, to: Stream): void {
  const send = to.send.bind(to);
  to.send = (data) => {
    const more = send(data);
    if (!more && from.readStatus === "readable") from.pause();
    return more;
  };
  to.addEventListener("drain", () => {
    if (from.readStatus === "paused" && !to.writableNeedsDrain) from.resume();
  });
}

/** Service of circuit relay v2 with limits and with back-pressure between the two nodes. */
export function circuitService(limits: CircuitLimits) {
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
  return (components: CircuitRelayServerComponents) => {
    const service = create(components);
    const server = service as unknown as RelayServer;
    const { onHop } = Object.getPrototypeOf(server) as RelayServer;
    server.onHop = (source, connection) => {
      const stopHop = async (request: unknown, options: unknown) => {
        const target = await server.stopHop(request, options);
        if (target !== undefined) {
          holdBack(source, target);
          holdBack(target, source);
        }
        return target;
      };
      return onHop.call(Object.create(server, { stopHop: { value: stopHop } }) as RelayServer, source, connection);
    };
    return service;
  };
}
