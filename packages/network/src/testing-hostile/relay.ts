// A relay in a process of its own. Argument: limits as JSON. Says once a second what it takes and whom it refuses.
import { createHost } from "../host/host.ts";
import { identityOf } from "../testing.ts";

const limits = JSON.parse(process.argv[2] ?? "{}") as object;
const failures: string[] = [];
for (const event of ["uncaughtException", "unhandledRejection"] as const)
  process.on(event, (error: unknown) => void failures.push(error instanceof Error ? error.stack! : String(error)));

const host = await createHost({ identity: identityOf(99), relayService: true, role: "relay", limits });
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
    });
  if (command === "stop") void host.stop().then(() => process.exit(0));
});
process.on("disconnect", () => process.exit(0));
process.send!({ multiaddr: host.multiaddrs()[0] });
