// Set-up shared by the tests of this package; not part of its public face.
import { createHost } from "./host/host.ts";
import type { Host, HostOptions } from "./host/types.ts";
import { createIdentity } from "./identity/identity.ts";

export const identityOf = (n: number) => createIdentity(new Uint8Array(32).fill(n));

/** Hosts of a test, on the loopback interface. */
export interface TestNetwork {
  readonly relay: Host;
  /** Starts a node that knows the relay and waits until it is connected. Different numbers: different identities. */
  node(n: number, options?: Partial<HostOptions>): Promise<Host>;
  stop(): Promise<void>;
}

export async function startNetwork(): Promise<TestNetwork> {
  const relay = await createHost({ identity: identityOf(99), relayService: true, role: "relay" });
  const hosts = [relay];
  return {
    relay,
    async node(n, options = {}) {
      const host = await createHost({ identity: identityOf(n), relays: relay.multiaddrs(), ...options });
      hosts.push(host);
      if (options.relays === undefined) await host.connected({ signal: AbortSignal.timeout(30_000) });
      return host;
    },
    stop: async () => void (await Promise.all(hosts.map((host) => host.stop()))),
  };
}

/** Waits until the condition holds. */
export async function until(condition: () => boolean, timeoutMs = 60_000): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error("the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
