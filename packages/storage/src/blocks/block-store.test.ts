import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { cidOf } from "@skynet/protocol";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openBlockStore } from "./block-store.ts";

let directory: string;
beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-blocks-"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await fs.rm(directory, { recursive: true });
});

const block = new TextEncoder().encode("a block");

test("a block comes back under its CID, also after the store is opened again", async () => {
  const store = await openBlockStore(path.join(directory, "new", "blocks"));
  const cid = await store.put(block);
  expect(cid).toBe(await cidOf(block));
  expect(await store.get(cid)).toEqual(block);
  expect(await store.has(cid)).toBe(true);
  const again = await openBlockStore(path.join(directory, "new", "blocks"));
  expect(await again.get(cid)).toEqual(block);
  const missing = await cidOf(block.subarray(1));
  expect(await again.get(missing)).toBeUndefined();
  expect(await again.has(missing)).toBe(false);
});

test("many writers of one block do not disturb each other", async () => {
  const store = await openBlockStore(directory);
  const cids = await Promise.all(Array.from({ length: 32 }, () => store.put(block)));
  expect(new Set(cids).size).toBe(1);
  expect(await store.get(cids[0]!)).toEqual(block);
});

test("a damaged block is reported, removed and counts as missing", async () => {
  const onCorrupt = vi.fn<(error: Error, cid: string) => void>();
  const store = await openBlockStore(directory, { onCorrupt });
  const cid = await store.put(block);
  const [file] = await fs
    .readdir(directory, { recursive: true })
    .then((all) => all.filter((it) => it.endsWith(".data")));
  await fs.writeFile(path.join(directory, file!), "another block");
  expect(await store.get(cid)).toBeUndefined();
  expect(onCorrupt).toHaveBeenCalledWith(expect.objectContaining({ code: "CorruptBlock" }), cid);
  expect(await store.has(cid)).toBe(false);
  await store.put(block);
  expect(await store.get(cid)).toEqual(block);
});

test.skipIf(process.platform === "win32")(
  "blocks are for their owner alone, also in a folder of an earlier version",
  async () => {
    await fs.chmod(directory, 0o755);
    await fs.writeFile(path.join(directory, "index.sqlite"), "", { mode: 0o644 });
    const store = await openBlockStore(directory);
    await store.put(block);
    const names = await fs.readdir(directory, { recursive: true, withFileTypes: true });
    for (const entry of names) {
      const { mode } = await fs.stat(path.join(entry.parentPath, entry.name));
      expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isDirectory() ? 0o700 : 0o600]);
    }
    expect((await fs.stat(directory)).mode & 0o777).toBe(0o700);
    store.close();
  },
);

test("a full disk is a clear error", async () => {
  const store = await openBlockStore(directory);
  const handle = await fs.open(directory, "r");
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  vi.spyOn(Object.getPrototypeOf(handle) as typeof handle, "writeFile").mockRejectedValue(full);
  await handle.close();
  await expect(store.put(block)).rejects.toMatchObject({
    code: "DiskFull",
    hint: expect.stringContaining("free some space") as string,
  });
  vi.restoreAllMocks();
  expect(store.stats().bytes).toBe(0);
  expect(await store.get(await store.put(block))).toEqual(block);
});

test("a directory that cannot be created, and a wrong CID, are clear errors", async () => {
  await fs.writeFile(path.join(directory, "file"), "");
  await expect(openBlockStore(path.join(directory, "file", "blocks"))).rejects.toMatchObject({ code: "StoreFailed" });
  const store = await openBlockStore(directory);
  await expect(store.get("../../etc/passwd")).rejects.toMatchObject({ code: "BadCid" });
});

const sized = (fill: number, size = 1000) => new Uint8Array(size).fill(fill);

/** A store whose clock the test sets. */
async function openTimed(quotaBytes?: number) {
  const clock = { nowMs: 1_000_000_000_000 };
  const store = await openBlockStore(directory, { quotaBytes, clock: () => clock.nowMs });
  const later = (hours: number) => void (clock.nowMs += hours * 3_600_000 + 1);
  return { store, later };
}

test("what only a pin that is discarded holds is removed at once, however lately it was used", async () => {
  const { store } = await openTimed();
  const [own, below, shared, other] = await Promise.all([1, 2, 3, 4].map((i) => store.put(sized(i))));
  store.pin("job:0x01", [own!, shared!, await cidOf(sized(9))]);
  store.pin("job:0x01/round-1", [below!]);
  store.pin("job:0x012", [other!]);
  store.pin("artefact:0x01", [shared!]);
  await store.get(own!);
  expect(await store.discard("job:0x01")).toEqual({ blocks: 2, bytes: 2000 });
  const has = await Promise.all([own!, below!, shared!, other!].map((cid) => store.has(cid)));
  expect(has).toEqual([false, false, true, true]);
  expect(store.pins().map(({ name }) => name)).toEqual(["artefact:0x01", "job:0x012"]);
  expect(await store.discard("job:0x01")).toEqual({ blocks: 0, bytes: 0 });
});

describe("what no pin holds", () => {
  test("is collected an hour after its last use, the rest stays", async () => {
    const { store, later } = await openTimed();
    const [pinned, used, old] = [await store.put(sized(1)), await store.put(sized(2)), await store.put(sized(3))];
    store.pin("job:0x01", [pinned]);
    later(1);
    const young = await store.put(sized(4));
    await store.get(used);
    expect(await store.gc({ dryRun: true })).toEqual({ blocks: 1, bytes: 1000 });
    expect(await store.has(old)).toBe(true);
    later(1);
    await store.put(sized(4));
    await store.get(used);
    await store.has(old);
    expect(await store.gc()).toEqual({ blocks: 0, bytes: 0 });
    later(1);
    await store.get(used);
    await store.put(sized(4));
    expect(await store.gc()).toEqual({ blocks: 1, bytes: 1000 });
    expect(await Promise.all([pinned, used, old, young].map((cid) => store.has(cid)))).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect(store.unpin("job:0x01")).toBe(true);
    later(1);
    expect(await store.gc()).toEqual({ blocks: 3, bytes: 3000 });
    expect(store.stats()).toMatchObject({ blocks: 0, bytes: 0 });
  });

  test("includes drafts that nobody has gone on with for an hour, as after SIGKILL, also of a store that is opened", async () => {
    const { store, later } = await openTimed();
    const [old, goesOn, kept] = await Promise.all([1, 2, 3].map((i) => store.put(sized(i))));
    store.pin("draft:/data/old.csv/added", [old!]);
    store.pin("draft:/data/goes-on.csv/added", [goesOn!]);
    store.pin("drafts", [kept!]);
    later(1);
    store.pin("draft:/data/goes-on.csv/added", []);
    const again = await openBlockStore(directory, { clock: () => 1_000_000_000_000 + 3_600_002 });
    expect(again.pins().map(({ name }) => name)).toEqual(["draft:/data/goes-on.csv/added", "drafts"]);
    again.close();
    expect(await store.gc()).toEqual({ blocks: 1, bytes: 1000 });
    later(2);
    expect(await store.gc()).toEqual({ blocks: 1, bytes: 1000 });
    expect(await store.has(kept!)).toBe(true);
  });

  test("makes room when the quota is reached, what was used least recently first", async () => {
    const { store, later } = await openTimed(5000);
    const cids: string[] = [];
    for (let i = 0; i < 5; i++) {
      cids.push(await store.put(sized(i)));
      later(0);
    }
    store.pin("listing:0x02", [cids[0]!]);
    later(1);
    await store.get(cids[1]!);
    const more = await store.put(sized(9));
    expect(await Promise.all(cids.map((cid) => store.has(cid)))).toEqual([true, true, false, false, true]);
    expect(await store.has(more)).toBe(true);
  });

  test("a store that is full says how much there is, and what to do", async () => {
    const { store } = await openTimed(5000);
    store.pin("dataset:iris", await Promise.all([1, 2, 3].map((i) => store.put(sized(i)))));
    await expect(store.put(sized(5, 3000))).rejects.toMatchObject({
      code: "QuotaExceeded",
      message: expect.stringMatching(/0.0 MiB of 0.0 MiB are used, 0.0 MiB of them pinned/) as string,
      hint: expect.stringMatching(/--storage-quota.*storage pins.*storage gc --now/) as string,
    });
    expect(store.stats()).toMatchObject({ blocks: 3, bytes: 3000, quotaBytes: 5000 });
    await store.put(sized(6));
  });

  test("blocks that are put again while they are collected are there afterwards", async () => {
    const { store, later } = await openTimed();
    const blocks = Array.from({ length: 40 }, (_, i) => sized(i));
    for (let round = 0; round < 5; round++) {
      later(2);
      const [cids] = await Promise.all([Promise.all(blocks.map((it) => store.put(it))), store.gc(), store.gc()]);
      for (const [i, cid] of cids.entries()) expect(await store.get(cid)).toEqual(blocks[i]);
    }
  });
});

test("pins have names, sizes and last uses, also of blocks that are not here yet, and last", async () => {
  const { store, later } = await openTimed();
  const [one, two] = [await store.put(sized(1)), await store.put(sized(2, 500))];
  store.pin("job:0x01", [one, await cidOf(sized(3))]);
  later(3);
  store.pin("job:0x01", [two]);
  store.pin("artefact:model", [two]);
  store.close();
  const again = await openBlockStore(directory, { clock: () => 1_000_100_000_000 });
  const [artefact, job] = again.pins();
  expect(artefact).toMatchObject({ name: "artefact:model", named: 1, blocks: 1, bytes: 500 });
  expect(job).toMatchObject({ name: "job:0x01", named: 3, blocks: 2, bytes: 1500, madeMs: 1_000_000_000_000 });
  expect(job!.usedMs).toBe(1_000_010_800_001);
  again.pin("artefact:model/round-3", [one]);
  again.pin("artefact:model2", [one]);
  expect([again.unpin("artefact:model"), again.unpin("artefact:model"), again.unpin("artefact")]).toEqual([
    true,
    false,
    false,
  ]);
  expect(again.pins().map(({ name }) => name)).toEqual(["artefact:model2", "job:0x01"]);
  await again.gc();
  expect(await Promise.all([again.has(one), again.has(two)])).toEqual([true, true]);
  again.close();
});

test("blocks of an earlier version are taken over, and those without a row are found again", async () => {
  const cid = await (await openBlockStore(directory)).put(block);
  for (const name of await fs.readdir(directory))
    if (name.startsWith("index.sqlite")) await fs.rm(path.join(directory, name));
  const store = await openBlockStore(directory);
  expect(store.stats()).toMatchObject({ blocks: 1, bytes: block.length });
  expect(await store.get(cid)).toEqual(block);
});

test("verifying the whole store finds what is damaged or gone, and who needed it", async () => {
  const { store } = await openTimed();
  const cids = await Promise.all([1, 2, 3, 4].map((i) => store.put(sized(i))));
  store.pin("job:0x01", cids.slice(0, 3));
  const files = (await fs.readdir(directory, { recursive: true })).filter((name) => name.endsWith(".data"));
  const fileOf = async (value: number) => {
    for (const file of files.map((name) => path.join(directory, name)))
      if ((await fs.readFile(file))[0] === value) return file;
    throw new Error("no such block");
  };
  const [first, second] = [await fileOf(1), await fileOf(2)];
  await fs.truncate(first, 10);
  await fs.rm(second);
  const seen: number[] = [];
  const { good, lost } = await store.verify({ onProgress: ({ blocks }, all) => void seen.push(blocks / all.blocks) });
  expect(good).toEqual({ blocks: 2, bytes: 2000 });
  expect(seen).toEqual([0.25, 0.5, 0.75, 1]);
  expect(lost).toHaveLength(2);
  expect(lost).toContainEqual({ cid: cids[0], fault: "damaged", pins: ["job:0x01"] });
  expect(lost).toContainEqual({ cid: cids[1], fault: "missing", pins: ["job:0x01"] });
  expect((await store.verify()).lost).toEqual([]);
  expect(store.stats()).toMatchObject({ blocks: 2, bytes: 2000 });
});

test("an index that is none is a clear error", async () => {
  await fs.writeFile(path.join(directory, "index.sqlite"), "this is not a database, but a text".repeat(100));
  await expect(openBlockStore(directory)).rejects.toMatchObject({
    code: "StoreFailed",
    hint: expect.stringContaining("move it away") as string,
  });
});
