import { memory as libp2pMemory } from "@libp2p/memory";
import type { NetworkTransport } from "./transport.ts";

/** Hosts of one process without sockets, so that tests do not depend on the machine. `host` is any name. */
export function memory(options: { latencyMs?: number } = {}): NetworkTransport {
  return {
    name: "memory",
    protection: "host",
    listenAddress: (host, port) => `/memory/${host}-${port === 0 ? crypto.randomUUID() : port}`,
    create: () => libp2pMemory({ latency: options.latencyMs ?? 0 }),
  };
}
