// Batches of a job from real nodes, over real sockets, with beginnings of blocks in real files.
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createHost, createIdentity, serveBlocks, type Host } from "@skynet/network";
import { openPartialFiles } from "@skynet/network/node";
import { cidOf, type Hex } from "@skynet/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createBatchFetcher } from "./batch-fetch.ts";

let folder = "";
let relay: Host;
let requester: Host;
let member: Host;
let worker: Host;
const hosts: Host[] = [];
const stop = new AbortController();

const address = ({ identity }: Host) => identity.address;

async function start(n: number, maxUpBytesPerSecond?: number): Promise<Host> {
  const identity = createIdentity(new Uint8Array(32).fill(n));
  const host = await createHost({ identity, relays: relay.multiaddrs(), maxUpBytesPerSecond });
  hosts.push(host);
  await host.connected({ signal: AbortSignal.timeout(30_000) });
  return host;
}

/** Serves blocks to everybody; counts the bytes that left. */
function serve(host: Host, blocks: ReadonlyMap<string, Uint8Array>) {
  const served = { bytes: 0, cids: new Set<string>() };
  serveBlocks(host, {
    allow: () => true,
    get: async (cid) => blocks.get(cid),
    onServed: (_peer: Hex, cid, bytes) => {
      served.bytes += bytes;
      served.cids.add(cid);
    },
  });
  return served;
}

async function blocksOf(count: number, bytes: number): Promise<Map<string, Uint8Array>> {
  const blocks = Array.from({ length: count }, (_, n) => Uint8Array.from({ length: bytes }, (_, i) => (i * 7) ^ n));
  return new Map(await Promise.all(blocks.map(async (block) => [await cidOf(block), block] as const)));
}

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-batches-"));
  relay = await createHost({
    identity: createIdentity(new Uint8Array(32).fill(99)),
    relayService: true,
    role: "relay",
  });
  [requester, member, worker] = (await Promise.all([start(1), start(2, 2 ** 20), start(3)])) as [Host, Host, Host];
}, 60_000);
afterAll(async () => {
  stop.abort();
  await Promise.all(hosts.map((host) => host.stop()));
  await relay.stop();
  await fs.rm(folder, { recursive: true, force: true });
});

const partialsOf = () => openPartialFiles(path.join(folder, "partial"));

test("a worker that was stopped in the middle of a block goes on at the byte where it was", async () => {
  const blocks = await blocksOf(1, 2 * 2 ** 20);
  const [[cid, block]] = [...blocks] as [[string, Uint8Array]];
  const served = serve(member, blocks);
  const sources = () => [address(member)];
  const killed = new AbortController();
  const before = await start(4);
  const options = { sources, expectedBytes: block.length, signal: killed.signal };
  const first = createBatchFetcher({ host: before, partials: await partialsOf() }, options).fetch(cid);
  await Promise.all([
    expect(first).rejects.toThrow("killed"),
    expect
      .poll(() => served.bytes, { timeout: 30_000 })
      .toBeGreaterThan(block.length / 2)
      .then(() => {
        killed.abort(new Error("killed"));
      }),
  ]);
  await before.stop();
  const kept = (await fs.stat(path.join(folder, "partial", `${cid}.part`))).size;
  expect(kept).toBeGreaterThan(0);
  served.bytes = 0;
  const restarted = await start(4);
  const node = { host: restarted, partials: await partialsOf() };
  expect(await createBatchFetcher(node, { ...options, signal: stop.signal }).fetch(cid)).toEqual(block);
  expect(served.bytes).toBe(block.length - kept);
  expect(await fs.readdir(path.join(folder, "partial"))).toEqual([]);
}, 60_000);

test("batches come from all members that have them, also when the requester is gone", async () => {
  const blocks = await blocksOf(12, 60_000);
  const cids = [...blocks.keys()];
  const all = serve(requester, blocks);
  const some = serve(member, new Map([...blocks].slice(4)));
  const sources = () => [address(requester), address(member)];
  const options = { sources, expectedBytes: 60_000, signal: stop.signal };
  const batches = createBatchFetcher({ host: worker, partials: await partialsOf() }, options);
  const fetched = await Promise.all(cids.slice(0, 8).map((cid) => batches.fetch(cid)));
  expect(fetched).toEqual([...blocks.values()].slice(0, 8));
  expect(all.cids.size).toBeGreaterThan(0);
  expect(some.cids.size).toBeGreaterThan(0);
  await requester.stop();
  expect(await batches.fetch(cids[9]!)).toEqual(blocks.get(cids[9]!));
  const lost = createBatchFetcher(
    { host: worker, partials: await partialsOf() },
    { ...options, sources: () => [address(member)] },
  );
  await expect(lost.fetch(cids[0]!)).rejects.toMatchObject({ code: "NotFound" });
}, 60_000);
