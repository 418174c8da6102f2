import "../node/hold-candidates.ts";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import { identityOf, until } from "../testing.ts";
import { circuit } from "./circuit.ts";
import { testTransport, type Pair } from "./compliance.ts";
import { memory } from "./memory.ts";
import { quic } from "./quic/quic.ts";
import { tcp } from "./tcp.ts";
import type { NetworkTransport } from "./transport.ts";
import { webRtc } from "./webrtc/webrtc.ts";
import { webSockets } from "./websockets.ts";

/**
 * Hosts that know each other through a relay.
 * @param direct whether they listen themselves; otherwise they are reached through the relay
 */
async function pairOver(transports: NetworkTransport[], direct: boolean): Promise<Pair> {
  const listen = () => [transports[0]!.listenAddress("127.0.0.1", 0)!];
  const relay = await createHost({ identity: identityOf(99), transports, listen: listen(), relayService: true });
  const hosts: Host[] = [relay];
  const start = async (n: number) => {
    const host = await createHost({
      identity: identityOf(n),
      transports,
      ...(direct ? { listen: listen(), reservations: 0 } : { listen: [], reservations: 1 }),
      relays: relay.multiaddrs(),
      presenceIntervalMs: 300,
    });
    hosts.push(host);
    await host.connected({ signal: AbortSignal.timeout(30_000) });
    if (!direct) await until(() => host.multiaddrs().length > 0);
    return host;
  };
  const [alice, bob] = (await Promise.all([start(1), start(2)])) as [Host, Host];
  const reachable = () => (alice.directory.get(bob.identity.address)?.multiaddrs.length ?? 0) > 0;
  await until(reachable);
  const stop = async () => void (await Promise.all(hosts.map((host) => host.stop())));
  return { alice, bob, another: start, stop };
}

const NAMES = {
  tcp: [tcp, /\/ip4\/127.0.0.1\/tcp\/\d+\/p2p/],
  quic: [quic, /\/quic-v1\/p2p/],
  websockets: [webSockets, /\/ws\/p2p/],
  memory: [memory, /^\/memory\//],
} as const;

for (const [name, [make, address]] of Object.entries(NAMES))
  testTransport(name, { address, start: () => pairOver([make()], true) });

testTransport("webrtc", { address: /\/webrtc\/p2p/, start: () => pairOver([tcp(), circuit(), webRtc()], false) });
testTransport("circuit", {
  address: /\/p2p-circuit\/p2p/,
  limited: true,
  start: () => pairOver([tcp(), circuit()], false),
});
