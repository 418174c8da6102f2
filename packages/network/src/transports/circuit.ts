import { circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import type { NetworkTransport } from "./transport.ts";

/** libp2p would never again ask a relay that it knows, also not after the relay was restarted. */
const forgetful = { has: () => false, add: () => undefined, remove: () => undefined };

/** Circuit relay v2: a relay carries the bytes of two nodes that cannot meet; it cannot read them. */
export function circuit(): NetworkTransport {
  return {
    name: "circuit",
    protection: "host",
    listenAddress: () => "/p2p-circuit",
    create: ({ reservations }) =>
      circuitRelayTransport({ discoveryFilter: forgetful, maxReservationQueueLength: 16 * Math.max(1, reservations) }),
  };
}
