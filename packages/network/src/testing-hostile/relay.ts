// A relay in a process of its own that serves everything. Argument: host options as JSON. Says on "report" what it
// takes, whom it refuses, and what it holds open.
import { serveBlocks } from "../bulk/blocks.ts";
import { receiveUpdates } from "../bulk/receive-updates.ts";
import { createDelivery } from "../delivery/delivery.ts";
import { hostChannel } from "../delivery/host-channel.ts";
import { createMemoryStore } from "../delivery/memory-store.ts";
import { createHost } from "../host/host.ts";
import { identityOf } from "../testing.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as object;
const failures: string[] = [];
for (const event of ["uncaughtException", "unhandledRejection"] as const)
  process.on(event, (error: unknown) => void failures.push(error instanceof Error ? error.stack! : String(error)));

const host = await createHost({
  identity: identityOf(99),
  relayService: true,
  role: "relay",
  listen: ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws", "/ip4/127.0.0.1/udp/0/quic-v1"],
  stun: { port: 0 },
  ...options,
});
const portAt = (place: RegExp) =>
  Number([...host.multiaddrs(), ...host.stunServers()].flatMap((text) => place.exec(text)?.[1] ?? [])[0]);
const ports = { ws: portAt(/\/tcp\/(\d+)\/ws/), quic: portAt(/\/udp\/(\d+)\/quic/), stun: portAt(/^stun:.*:(\d+)$/) };
serveBlocks(host, { allow: () => true, get: async () => new Uint8Array(1000) });
await receiveUpdates(host, { admit: () => true, maxBytes: 2 ** 20, onUpdate: () => ({ ok: true }) });
const delivery = await createDelivery({
  channel: hostChannel(host),
  identity: host.identity,
  store: createMemoryStore(),
});
delivery.listen(() => undefined);
host.subscribe("siege", () => undefined);
let peakBytes = 0;
setInterval(() => {
  peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
}, 100);

process.on("message", (command: string) => {
  if (command === "report")
    process.send!({
      rssBytes: process.memoryUsage.rss(),
      peakBytes,
      failures,
      dropped: host.traffic().dropped,
      scores: host.scores(),
      peers: host.peers().length,
      protocols: host.protocols(),
      streams: host.connections().reduce((sum, { streams }) => sum + streams.length, 0),
      sockets: process.getActiveResourcesInfo().filter((name) => /TCPSocket|TLS/.test(name)).length,
    });
  if (command === "stop")
    void delivery
      .stop()
      .then(() => host.stop())
      .then(() => process.exit(0));
});
process.on("disconnect", () => process.exit(0));
process.send!({ multiaddr: host.multiaddrs().find((text) => /\/tcp\/\d+\/p2p/.test(text)), ports });
