import { delay } from "../../timing/delay.ts";
import { reasonOf } from "../../errors.ts";
import type { Log } from "../../host/log.ts";
import { scopeOfHost } from "../../ip/scope.ts";
import type { ListeningPort, PortMapping } from "../../nat/port-mapping.ts";
import { findGateway, type Gateway, type SSDP } from "./gateway.ts";

export interface PortMappingsOptions {
  readonly ports: readonly ListeningPort[];
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called with what the router forwards, after each look: its outside address and the mapped ports, maybe none. */
  readonly onMapped: (externalHost: string, mappings: readonly PortMapping[]) => void;
  /** Where to look for the router; the usual multicast address by default. */
  readonly ssdp?: typeof SSDP;
  /** How long the router keeps a mapping, seconds (3600); it is renewed after half of it. */
  readonly leaseSeconds?: number;
  /** After a look that failed, the router is looked for again this soon, milliseconds (120,000). */
  readonly retryMs?: number;
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
  const { log, signal, leaseSeconds = 3600, retryMs = 120_000, onMapped } = options;
  const stopping = new AbortController();
  const either = AbortSignal.any([signal, stopping.signal]);
  /** All that the router was asked for and has to take back. */
  const asked = new Map<string, { readonly mapping: PortMapping; readonly at: Gateway }>();
  let gateway: Gateway | undefined;
  /** @returns whether a router answers */
  const renew = async (): Promise<boolean> => {
    gateway ??= await findGateway({
      ...(options.ssdp ? { ssdp: options.ssdp } : {}),
      waitMs: SEARCH_MS,
      signal: either,
    });
    if (gateway === undefined) {
      log.debug({}, "no router here maps ports");
      return false;
    }
    const at = gateway;
    const mapped: PortMapping[] = [];
    for (const { protocol, host, port } of options.ports.slice(0, MAX_PORTS)) {
      const mapping = { protocol, externalPort: port, internalPort: port, internalHost: host, leaseSeconds };
      try {
        const done = await mapOne(at, mapping, either);
        mapped.push(done);
        asked.set(`${protocol} ${port}`, { mapping: done, at });
      } catch (error) {
        log.info({ protocol, port, error: reasonOf(error) }, "the router does not map a port");
      }
    }
    const external = await at.externalIp(either);
    // A router behind another one forwards ports of a network that nobody reaches.
    onMapped(external, scopeOfHost(external) === "public" ? mapped : []);
    return true;
  };
  const running = (async () => {
    while (!either.aborted) {
      const answers = await renew().catch((error: unknown) => {
        if (either.aborted) return false;
        gateway = undefined;
        onMapped("", []);
        log.debug({ error: reasonOf(error) }, "the router's mappings could not be renewed");
        return false;
      });
      await delay(answers ? leaseSeconds * 500 : retryMs, either).catch(() => undefined);
    }
  })();
  return async () => {
    stopping.abort();
    await running;
    const limits = AbortSignal.timeout(UNMAP_MS);
    await Promise.allSettled([...asked.values()].map(({ mapping, at }) => at.unmap(mapping, limits)));
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
