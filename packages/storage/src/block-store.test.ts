import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { cidOf } from "@skynet/protocol";
import { FsBlockstore } from "blockstore-fs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
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

test("a full disk is a clear error", async () => {
  const store = await openBlockStore(directory);
  vi.spyOn(FsBlockstore.prototype, "put").mockRejectedValue(new Error("Error: ENOSPC: no space left on device, write"));
  await expect(store.put(block)).rejects.toMatchObject({
    code: "DiskFull",
    hint: expect.stringContaining("free some space") as string,
  });
});

test("a directory that cannot be created, and a wrong CID, are clear errors", async () => {
  await fs.writeFile(path.join(directory, "file"), "");
  await expect(openBlockStore(path.join(directory, "file", "blocks"))).rejects.toMatchObject({ code: "StoreFailed" });
  const store = await openBlockStore(directory);
  await expect(store.get("../../etc/passwd")).rejects.toMatchObject({ code: "BadCid" });
});
