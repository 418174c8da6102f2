// A relay as its operator sees it: figures, health, restart.
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createHost, createIdentity, signRelayList, type Host } from "@skynet/network";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startRelay, type Relay } from "./relay.ts";

const key = (n: number) => new Uint8Array(32).fill(n);
let folder = "";
let relay: Relay;
let node: Host;

const start = (options: Partial<Parameters<typeof startRelay>[0]> = {}) =>
  startRelay({
    privateKey: key(99),
    listen: ["/ip4/127.0.0.1/tcp/0"],
    dataDir: path.join(folder, "relay"),
    metrics: { host: "127.0.0.1", port: 0 },
    ...options,
  });
const get = (at: string, method = "GET") => fetch(`${relay.monitorUrl}${at}`, { method });

/** Value of a figure, or of one with these labels. */
async function figure(name: string): Promise<number | undefined> {
  const text = await (await get("/metrics")).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-relay-"));
  relay = await start();
  node = await createHost({ identity: createIdentity(key(1)), relays: relay.host.multiaddrs() });
  await node.connected({ signal: AbortSignal.timeout(30_000) });
});
afterAll(async () => {
  await node.stop();
  await relay.stop();
  await fs.rm(folder, { recursive: true, force: true });
});

it("counts connections, bytes, streams and messages", async () => {
  expect(await figure('skynet_relay_connections{transport="tcp",direction="inbound"}')).toBe(1);
  expect(await figure("skynet_relay_peers")).toBe(1);
  expect(await figure("skynet_relay_received_bytes_total")).toBeGreaterThan(0);
  const relayStreams = 'skynet_relay_streams_total{protocol="/vac/waku/relay/2.0.0",direction="inbound"}';
  expect(await figure(relayStreams)).toBeGreaterThan(0);
  const before = (await figure("skynet_relay_messages_total"))!;
  await node.publish("test", { kind: "a", job: null, body: 1 }, { ephemeral: false });
  await expect.poll(() => figure("skynet_relay_messages_total")).toBeGreaterThan(before);
  await expect.poll(() => figure("skynet_relay_messages_stored_total")).toBe(1);
  expect(await figure("skynet_relay_store_messages")).toBe(1);
});

it("shows its process and libp2p's own figures, in the form that Prometheus reads", async () => {
  const response = await get("/metrics");
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=/);
  const text = await response.text();
  for (const name of [
    "nodejs_eventloop_lag_p99_seconds",
    "process_resident_memory_bytes",
    "libp2p_protocol_streams_total",
  ])
    expect(text).toMatch(new RegExp(`^# TYPE ${name} `, "m"));
  for (const line of text.split("\n").filter((each) => each !== "" && !each.startsWith("#")))
    expect(line).toMatch(/^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? (-?[\d.e+-]+|nan)$/i);
});

it("what is dropped is counted by its reason", async () => {
  const { length } = relay.host.multiaddrs();
  expect(length).toBe(1);
  relay.host.drops.count("rateLimited");
  expect(await figure('skynet_relay_dropped_total{reason="rateLimited"}')).toBe(1);
});

it("tells whether it lives and whether it can work", async () => {
  expect((await get("/healthz")).status).toBe(200);
  const ready = await get("/readyz");
  expect(ready.status).toBe(200);
  expect(await ready.json()).toMatchObject({ ready: true, listening: true, writable: true, peers: 1 });
  expect((await get("/nothing")).status).toBe(404);
  expect((await get("/metrics", "POST")).status).toBe(405);
});

it("is not ready while the relays that it was told of do not answer, or when its folder is gone", async () => {
  const dataDir = path.join(folder, "alone");
  const alone = await start({
    dataDir,
    privateKey: key(98),
    relays: [`/ip4/127.0.0.1/tcp/1/p2p/${createIdentity(key(97)).peerId.toString()}`],
  });
  expect(await alone.readiness()).toMatchObject({ ready: false, listening: true, writable: true, relays: 0 });
  await fs.rm(dataDir, { recursive: true });
  expect(await alone.readiness()).toMatchObject({ ready: false, writable: false });
  await alone.stop();
});

it("serves TCP, QUIC and WebSockets at once, and counts connections by transport", async () => {
  const all = await start({
    dataDir: path.join(folder, "all"),
    privateKey: key(95),
    listen: ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"],
  });
  const addresses = all.host.multiaddrs();
  const diallers = await Promise.all([2, 3].map((n) => createHost({ identity: createIdentity(key(n)), listen: [] })));
  for (const [i, part] of ["/udp/", "/ws"].entries())
    await diallers[i]!.dial(addresses.find((address) => address.includes(part))!);
  const kinds = () => all.host.connections().map(({ kind }) => kind);
  await expect.poll(kinds).toEqual(expect.arrayContaining(["quic", "websockets"]));
  for (const dialler of diallers) await dialler.stop();
  await all.stop();
});

it("takes a signed list that is for its own cluster", async () => {
  const publisher = createIdentity(key(94));
  const source = path.join(folder, "list.json");
  const issuedMs = Date.now();
  const listed = relay.host.multiaddrs();
  const list = { network: 5, sequence: 1, issuedMs, expiresMs: issuedMs + 86_400_000, relays: listed };
  await fs.writeFile(source, signRelayList(list, publisher));
  const bootstrap = { source, publishers: [publisher.address] };
  const dataDir = path.join(folder, "cluster");
  const other = await start({ dataDir, privateKey: key(93), network: { cluster: 5 }, bootstrap });
  const known = () => other.host.relays().map(({ multiaddrs, sources }) => ({ multiaddrs, sources }));
  await expect.poll(known, { timeout: 30_000 }).toEqual([{ multiaddrs: listed, sources: ["bootstrap"] }]);
  await other.stop();
});

it("secure WebSockets without a certificate are refused, and nothing is left behind", async () => {
  const dataDir = path.join(folder, "secure");
  const listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/wss"];
  await expect(start({ dataDir, listen })).rejects.toMatchObject({
    code: "NoCertificate",
    message: expect.stringContaining("/ip4/127.0.0.1/tcp/0/wss"),
    hint: expect.stringMatching(/--tls-cert.*--tls-key/),
  });
  await expect(start({ dataDir, listen: ["/ip4/127.0.0.1/tcp/0/tls/ws"] })).rejects.toThrow("certificate");
  await expect(fs.access(dataDir)).rejects.toMatchObject({ code: "ENOENT" });
});

it("a port in use is a clear error, and nothing is left behind", async () => {
  const port = Number(new URL(relay.monitorUrl!).port);
  const dataDir = path.join(folder, "second");
  const second = { dataDir, privateKey: key(96), metrics: { host: "127.0.0.1", port } };
  await expect(start(second)).rejects.toMatchObject({ code: "PortInUse", hint: expect.stringMatching(/--metrics/) });
  expect(await fs.readdir(dataDir)).not.toContain("lock");
});

it("comes back with its identity, its address and its history, and nodes find it again", async () => {
  const [address] = relay.host.multiaddrs();
  await relay.stop();
  const listen = [address!.split("/p2p/")[0]!];
  relay = await start({ listen });
  expect(relay.host.multiaddrs()).toEqual([address]);
  expect(await figure("skynet_relay_store_messages")).toBe(1);
  await expect.poll(() => relay.host.peers(), { timeout: 30_000 }).toEqual([node.identity.address]);
}, 60_000);
