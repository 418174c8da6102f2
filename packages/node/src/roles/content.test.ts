// Content of any size between real nodes, over real sockets.
import { spawnSync } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import {
  createDelivery,
  createHost,
  createIdentity,
  createMemoryPartials,
  createMemoryStore,
  hostChannel,
  serveBlocks,
  type Host,
  type Partials,
} from "@skynet/network";
import { cidOf, equalBytes, type Hex } from "@skynet/protocol";
import {
  cidsOfContent,
  createGateways,
  importFile,
  openBlockStore,
  putContent,
  type DiskBlockStore,
} from "@skynet/storage";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startTestService } from "../../../storage/src/remote/testing-service.ts";
import { createCidFetcher } from "../data/fetch-cid.ts";
import { dropDeadFetches } from "../runtime/blocks.ts";
import { BlockAccess } from "./block-access.ts";
import { checkModelSize, fetchBytes, fetchFile, openContent } from "./content.ts";
import { fetchCard, readCard } from "./data-card.ts";
import { JobCircle } from "./job-circle.ts";
import { createJobNetwork, jobBlocks } from "./job-network.ts";

interface Peer {
  readonly host: Host;
  readonly blocks: DiskBlockStore;
  readonly access: BlockAccess;
  readonly partials: Partials;
  /** Bytes that it served. */
  readonly served: { bytes: number };
}

const SIZE = 6_500_000;
const jobId: Hex = `0x${"0d".repeat(32)}`;
const stop = new AbortController();
let folder = "";
let relay: Host;
let [one, two, three]: Peer[] = [];

const content = (seed: number) => {
  const words = Uint32Array.from({ length: SIZE / 4 }, (_, i) => Math.imul(i + seed, 2_654_435_761));
  return new Uint8Array(words.buffer);
};

async function peer(n: number): Promise<Peer> {
  const host = await createHost({
    identity: createIdentity(new Uint8Array(32).fill(n)),
    relays: relay.multiaddrs(),
    role: n === 3 ? "worker" : "host",
    presenceIntervalMs: 500,
  });
  const blocks = await openBlockStore(path.join(folder, String(n), "blocks"));
  const access = new BlockAccess();
  const served = { bytes: 0 };
  serveBlocks(host, {
    allow: (from, cid) => access.allows(from, cid),
    get: (cid) => blocks.get(cid),
    onServed: (_from, _cid, bytes) => void (served.bytes += bytes),
  });
  await host.connected({ signal: AbortSignal.timeout(30_000) });
  return { host, blocks, access, partials: createMemoryPartials(2 ** 24), served };
}

const addressOf = ({ host }: Peer): Hex => host.identity.address;

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-content-"));
  relay = await createHost({ identity: createIdentity(new Uint8Array(32).fill(9)), role: "relay" });
  [one, two, three] = await Promise.all([1, 2, 3].map(peer));
});
afterAll(async () => {
  stop.abort();
  await Promise.all([one!, two!, three!].map(({ host }) => host.stop()));
  await relay.stop();
  await fs.rm(folder, { recursive: true });
});

test("a file is fetched by its CID from all that have it, goes on after a loss, and only what is open is served", async () => {
  const bytes = content(1);
  await fs.writeFile(path.join(folder, "data.bin"), bytes);
  const cid = await importFile(one!.blocks, path.join(folder, "data.bin"));
  await importFile(two!.blocks, path.join(folder, "data.bin"));
  const file = path.join(folder, "fetched.bin");
  const from = [one!, two!].map(addressOf);
  await expect(fetchFile(three!, cid, file, { from })).rejects.toMatchObject({ code: "Refused" });
  for (const each of [one!, two!]) await openContent(each, cid);
  await expect(fetchFile(three!, cid, file, { from, maxBytes: 1000 })).rejects.toMatchObject({ code: "TooLarge" });
  expect(one!.served.bytes + two!.served.bytes).toBeLessThan(2000);
  const seen: number[] = [];
  await fetchFile(three!, cid, file, { from, onProgress: (done, total) => void seen.push(done / total) });
  expect(equalBytes(await fs.readFile(file), bytes)).toBe(true);
  expect([seen[0], seen.at(-1)]).toEqual([0, 1]);
  expect(three!.blocks.pins()).toEqual([]);
  const before = one!.served.bytes + two!.served.bytes;
  const stored = await fs.readdir(path.join(folder, "3"), { recursive: true });
  const lost = stored.map((name) => path.join(folder, "3", name)).filter((name) => name.endsWith(".data"));
  for (const each of lost)
    if ((await fs.stat(each)).size === 2 ** 20) {
      await fs.rm(each);
      break;
    }
  await fetchFile(three!, cid, file, { from });
  expect(one!.served.bytes + two!.served.bytes).toBe(before + 2 ** 20);
  expect(equalBytes(await fs.readFile(file), bytes)).toBe(true);
});

test("a file that is fetched leaves no pin, and takes no block from another process that fetches the same", async () => {
  const cid = await putContent(one!.blocks, content(5));
  const pins = () => three!.blocks.pins().map(({ name }) => name);
  const file = path.join(folder, "twice.bin");
  const from = [addressOf(one!)];
  await expect(fetchFile(three!, cid, file, { from })).rejects.toMatchObject({ code: "Refused" });
  expect(pins()).toEqual([]);
  await openContent(one!, cid);
  const gone = spawnSync(process.execPath, ["--version"]).pid;
  const [alive, dead] = [process.ppid, gone].map((pid) => `draft:fetch/${pid}/${cid}/1`);
  const all = await cidsOfContent(one!.blocks, cid);
  for (const name of [alive!, dead!]) three!.blocks.pin(name, all);
  dropDeadFetches(three!.blocks);
  expect(pins()).toEqual([alive]);
  await fetchFile(three!, cid, file, { from, discard: true });
  expect(pins()).toEqual([alive]);
  expect(await cidsOfContent(three!.blocks, cid)).toEqual(all);
  three!.blocks.unpin(alive!);
  await fetchFile(three!, cid, file, { from, discard: true });
  expect(equalBytes(await fs.readFile(file), content(5))).toBe(true);
  expect(await Promise.all(all.map((each) => three!.blocks.has(each)))).not.toContain(true);
});

test("nodes that have announced themselves are asked when none is named", async () => {
  const cid = await putContent(one!.blocks, content(2));
  await openContent(one!, cid);
  await three!.host.directory.find(addressOf(one!));
  await fetchFile(three!, cid, path.join(folder, "known.bin"));
  expect(equalBytes(await fs.readFile(path.join(folder, "known.bin")), content(2))).toBe(true);
});

test("data are fetched by their CID from this machine, then from nodes, then from gateways, and all of them are named when none has them", async () => {
  const service = await startTestService();
  const said: string[] = [];
  const ui = {
    note: (text: string) => void said.push(text),
    progress: (label: string) => void said.push(label),
    event: (_name: string, details?: Record<string, unknown>) => void said.push(`from ${details?.from}`),
  };
  const http = { backoffMs: 1, attempts: 1, idleMs: 2000 };
  const places = (n: number, folders: string[] = []) =>
    createCidFetcher({
      folders: folders.map((name) => path.join(folder, name)),
      node: async () => three!,
      from: [addressOf(n === 1 ? one! : two!)],
      gateways: () => createGateways({ gateways: [service.url], http }),
      ui,
    });
  const file = path.join(folder, "by-cid");
  const read = async () => new Uint8Array(await fs.readFile(file));
  const added = path.join(folder, "four.bin");
  await fs.writeFile(added, content(4));
  const cid = await importFile(one!.blocks, added);
  for (const block of await cidsOfContent(one!.blocks, cid)) one!.access.open(block);

  await places(1)(cid, file, {});
  expect(equalBytes(await read(), content(4))).toBe(true);
  expect(said.splice(0).at(-1)).toBe("from nodes");
  await places(2, ["1"])(cid, file, {});
  expect(said.splice(0).at(-1)).toBe("from disk");

  const elsewhere = new TextEncoder().encode("a,b\n1,2\n");
  const far = await service.blocks.add(elsewhere);
  await places(1)(far, file, {});
  expect(await read()).toEqual(elsewhere);
  expect(said[0]).toMatch(/does not come from nodes.*asking gateways/);
  expect(said.at(-1)).toBe("from gateways");

  const nowhere = await cidOf(new TextEncoder().encode("nobody has this"));
  await expect(places(1)(nowhere, file, {})).rejects.toThrow(/comes from nowhere\. Nodes: .*Gateways: /);
  await service.close();
});

test("a data card comes from the seller, is checked and cleaned; an offline seller and a wrong card are told apart", async () => {
  const seller = addressOf(one!);
  const stored = (text: string) => one!.blocks.put(new TextEncoder().encode(text));
  const cid = await stored("# Leaves\u001b[2J\n<script>\n");
  const signal = stop.signal;
  await expect(fetchCard(three!.host, seller, cid, { signal })).rejects.toMatchObject({ code: "SellerOffline" });
  one!.access.open(cid);
  const clean = "# Leaves[2J\n\\<script>\n";
  expect(await fetchCard(three!.host, seller, cid, { signal })).toBe(clean);
  const metadata = { kind: "data", card: cid } as never;
  expect(await readCard({ seller, metadata }, { relays: relay.multiaddrs(), signal })).toBe(clean);
  const slow = await stored("# Slow");
  one!.access.open(slow);
  const read = vi.spyOn(one!.blocks, "get").mockReturnValueOnce(new Promise(() => undefined));
  await expect(fetchCard(three!.host, seller, slow, { signal, mostMs: 300 })).rejects.toMatchObject({
    code: "SellerSlow",
    message: "the seller did not send the data card in 0.3 s",
  });
  read.mockRestore();
  const long = await stored("x".repeat(300_000));
  one!.access.open(long);
  await expect(fetchCard(three!.host, seller, long, { signal })).rejects.toMatchObject({ code: "BadCard" });
});

test("updates and weights above a block travel between members of a job, and to nobody else", async () => {
  const [network, circle] = await member(three!);
  await member(one!);
  const members = [one!, three!].map(addressOf);
  network.follow({ members, keys: undefined, ready: members });
  const shared = jobBlocks(one!, jobId);
  one!.access.setMembers(jobId, members);
  const update = content(3);
  const cid = await shared.put(update, 0);
  expect(equalBytes((await shared.get(cid))!, update)).toBe(true);
  expect(equalBytes(await network.fetchBlock([addressOf(one!)], cid), update)).toBe(true);
  const small = await shared.put(update.subarray(0, 100), 1);
  expect(await network.fetchBlock([addressOf(one!)], small)).toEqual(update.subarray(0, 100));
  const stranger = fetchBytes(two!, cid, { from: [addressOf(one!)], maxBytes: circle.maxUpdateBytes });
  await expect(stranger).rejects.toMatchObject({ code: "Refused" });
  const names = () => one!.blocks.pins().map(({ name }) => name.split("/")[1]);
  expect(names()).toEqual(["round-0", "round-1"]);
  await shared.put(update.subarray(0, 50), 2);
  expect(names()).toEqual(["round-1", "round-2"]);
  one!.blocks.unpin(`job:${jobId}`);
  expect(names()).toEqual([]);
});

async function member({ host, blocks, access, partials }: Peer) {
  const circle = new JobCircle({ jobId, self: host.identity.address, maxUpdateBytes: SIZE });
  const delivery = await createDelivery({
    channel: hostChannel(host),
    identity: host.identity,
    store: createMemoryStore(),
  });
  return [await createJobNetwork({ host, access, delivery, blocks, partials }, circle, stop.signal), circle] as const;
}

test("models beyond what workers take are refused", () => {
  const shape = (width: number) => ({ tensors: [{ shape: [784, width], scale: 6 }], features: 784, classes: 10 });
  checkModelSize(20_000_000, shape(6400) as never);
  for (const [bytes, width] of [
    [300_000_000, 100],
    [1000, 200_000],
  ] as const)
    expect(() => checkModelSize(bytes, shape(width) as never)).toThrow(
      expect.objectContaining({ code: "ModelTooLarge" }),
    );
});
