import { afterAll, expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import type { Host, HostOptions } from "../host/types.ts";
import { identityOf, until } from "../testing.ts";
import { circuit } from "../transports/circuit.ts";
import { listenAddresses } from "../transports/transport.ts";
import { webRtc } from "../transports/webrtc/webrtc.ts";
import { webSockets } from "../transports/websockets.ts";

const hosts: Host[] = [];
afterAll(() => Promise.all(hosts.map((host) => host.stop())));

async function start(n: number, options: Partial<HostOptions>): Promise<Host> {
  const host = await createHost({ identity: identityOf(n), relayCount: 1, ...options });
  hosts.push(host);
  return host;
}

test("a node with the transports of a tab reaches a worker behind a relay that it is not connected to", async () => {
  const listen = listenAddresses("127.0.0.1", 0);
  const near = await start(1, { relayService: true, listen });
  const far = await start(2, { relayService: true, listen, relays: near.multiaddrs() });
  // It cannot be dialled, and is connected over TCP.
  const worker = await start(3, {
    relays: [far.multiaddrs()[0]!],
    listen: [],
    reservations: 1,
    presenceIntervalMs: 1000,
  });
  const relays = near.multiaddrs().filter((text) => text.includes("/ws/"));
  const transports = [webSockets(), webRtc(), circuit()];
  const relay = `/p2p/${far.identity.peerId.toString()}/p2p-circuit`;
  const { address } = worker.identity;
  for (const [n, path] of (["relayed", "webrtc"] as const).entries()) {
    const tab = await start(4 + n, { mode: "light", listen: [], transports, relays });
    await until(() => tab.directory.get(address)?.multiaddrs.some((text) => text.includes(relay)) ?? false, 60_000);
    expect(tab.peers()).toEqual([near.identity.address]);
    const { remoteAddr } = await tab.connect(address, { path });
    expect(remoteAddr.toString()).toMatch(/^\/ip4\/127.0.0.1\/tcp\/\d+\/ws\/p2p\//);
    expect(remoteAddr.toString()).toContain(path === "webrtc" ? `${relay}/webrtc/` : relay);
  }
});
