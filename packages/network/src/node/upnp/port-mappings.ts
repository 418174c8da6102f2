import { delay } from "../../timing/delay.ts";
import { reasonOf } from "../../errors.ts";
import type { Log } from "../../host/log.ts";
import { reachOfHost } from "../../nat/addresses.ts";
import type { ListeningPort, PortMapping } from "../../nat/port-mapping.ts";
import { findGateway, type Gateway, type SSDP } from "./gateway.ts";

export interface PortMappingsOptions {
  readonly ports: readonly ListeningPort[];
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called with what the router forwards, after each change: `externalHost` and the mapped ports. */
  readonly onMapped: (externalHost: string, mappings: readonly PortMapping[]) => void;
  /** Where to look for the router; the usual multicast address by default. */
  readonly ssdp?: typeof SSDP;
  /** How long the router keeps a mapping, seconds (3600); it is renewed after half of it. */
  readonly leaseSeconds?: number;
}

const SEARCH_MS = 3000;
const UNMAP_MS = 3000;
const MAX_PORTS = 4;

/**
 * Has the router forward the node's ports while it runs, if a router offers it. Never fails: without a router nothing
 * happens.
 * @returns function that takes the mappings back
 */
export function keepPortMappings(options: PortMappingsOptions): () => Promise<void> {
  const { log, signal, leaseSeconds = 3600 } = options;
  const stopping = new AbortController();
  const either = AbortSignal.any([signal, stopping.signal]);
  const mapped = new Map<string, PortMapping>();
  let gateway: Gateway | undefined;
  const renew = async () => {
    gateway ??= await findGateway({
      ...(options.ssdp ? { ssdp: options.ssdp } : {}),
      waitMs: SEARCH_MS,
      signal: either,
    });
    if (gateway === undefined) return log.debug({}, "no router here maps ports");
    for (const { protocol, host, port } of options.ports.slice(0, MAX_PORTS)) {
      const mapping = { protocol, externalPort: port, internalPort: port, internalHost: host, leaseSeconds };
      await mapOne(gateway, mapping, either).then(
        (done) => mapped.set(`${protocol} ${port}`, done),
        (error: unknown) => log.info({ protocol, port, error: reasonOf(error) }, "the router does not map a port"),
      );
    }
    if (mapped.size === 0) return;
    const external = await gateway.externalIp(either);
    // A router behind another one forwards ports of a network that nobody reaches.
    if (reachOfHost(external) === "public") options.onMapped(external, [...mapped.values()]);
  };
  const running = (async () => {
    while (!either.aborted) {
      await renew().catch((error: unknown) => {
        gateway = undefined;
        if (!either.aborted) log.debug({ error: reasonOf(error) }, "the router's mappings could not be renewed");
      });
      await delay(leaseSeconds * 500, either).catch(() => undefined);
    }
  })();
  return async () => {
    stopping.abort();
    await running;
    const limits = AbortSignal.timeout(UNMAP_MS);
    await Promise.allSettled([...mapped.values()].map((mapping) => gateway?.unmap(mapping, limits)));
  };
}

/** Some routers know only mappings that last for ever (error 725); they are taken back at the end all the same. */
async function mapOne(gateway: Gateway, mapping: PortMapping, signal: AbortSignal): Promise<PortMapping> {
  try {
    await gateway.map(mapping, signal);
    return mapping;
  } catch (error) {
    if (!reasonOf(error).includes("725")) throw error;
    const lasting = { ...mapping, leaseSeconds: 0 };
    await gateway.map(lasting, signal);
    return lasting;
  }
}
