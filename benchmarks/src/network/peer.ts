// A node in a process of its own, driven by ../network.ts over the IPC channel.
import { createServer, type Server } from "node:tls";
import { generateCertificate } from "@libp2p/tls/utils";
import { answerRequests, createHost, serveBlocks, type Host } from "@skynet/network";
import { transports } from "@skynet/network/node";
import { ASK_PROTOCOL, blocksOf, identityOf, LIMITS, now, silent, TOPIC, type Command, type Report } from "./shared.ts";

const say = (report: Report) => process.send!(report);
const identity = identityOf(Number(process.argv[2]));
let host: Host | undefined;
let server: Server | undefined;
let delaysMs: number[] = [];
let lastMs = 0;

/** Reads what arrives on plain TLS sockets of Node. */
async function serveTls(): Promise<number> {
  server = createServer({ ...(await generateCertificate(identity.libp2pKey)), minVersion: "TLSv1.3" }, (socket) => {
    let bytes = 0;
    socket.on("data", (part: Buffer) => (bytes += part.length));
    socket.on("end", () => socket.end(String(bytes)));
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

async function start({ listen, relay, relayService, ways }: Extract<Command, { t: "start" }>): Promise<void> {
  host = await createHost({
    identity,
    listen,
    relays: relay ? [relay] : [],
    relayService,
    limits: LIMITS,
    circuits: { maxBytesPerCircuit: 2 ** 40 },
    reservations: listen.length === 0 ? 1 : 0,
    transports: (await transports(silent)).filter(({ name }) => ways.includes(name)),
  });
  const { bytes } = await blocksOf();
  serveBlocks(host, { allow: () => true, get: async (cid) => bytes.get(cid) });
  await answerRequests(
    host,
    ASK_PROTOCOL,
    { maxRequestBytes: 2048, stallMs: 10_000 },
    async (_from, request) => request,
  );
  // A relay forwards; it does not read what jobs say to each other.
  if (!relayService)
    host.subscribe(TOPIC, ({ body }) => {
      lastMs = now();
      delaysMs.push(lastMs - (body as { sentMs: number }).sentMs);
    });
  if (relay) await host.connected({ signal: AbortSignal.timeout(20_000) });
  say({ t: "ready", multiaddrs: host.multiaddrs(), tlsPort: await serveTls() });
}

process.on("message", (command: Command) => {
  if (command.t === "start") void start(command);
  if (command.t === "cpu") say({ t: "cpu", ...process.cpuUsage() });
  if (command.t === "heard") say({ t: "heard", delaysMs, lastMs });
  if (command.t === "forget") delaysMs = [];
  if (command.t === "stop") {
    server?.close();
    void host?.stop().then(() => process.disconnect());
  }
});
process.on("disconnect", () => process.exit());
