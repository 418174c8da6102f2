import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openPartialFiles } from "./partial-files.ts";

let folder = "";
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-partials-"));
});
afterEach(() => fs.rm(folder, { recursive: true, force: true }));

const names = async () => (await fs.readdir(folder)).toSorted();

test("all beginnings together have a limit; those that were touched longest ago make room, also after a restart", async () => {
  const first = await openPartialFiles(folder, { maxTotalBytes: 250 });
  await first.append("a", 0, new Uint8Array(100));
  await first.append("b", 0, new Uint8Array(100));
  await first.append("a", 100, new Uint8Array(50));
  expect(await names()).toEqual(["a.part", "b.part"]);
  await first.append("c", 0, new Uint8Array(100));
  expect(await names()).toEqual(["a.part", "c.part"]);
  await fs.utimes(path.join(folder, "c.part"), 1, 1);
  const again = await openPartialFiles(folder, { maxTotalBytes: 250, maxAgeMs: Infinity });
  expect(await again.load("a")).toHaveLength(150);
  await again.append("d", 0, new Uint8Array(60));
  expect(await names()).toEqual(["a.part", "d.part"]);
});

test("beginnings that nobody went on with are removed when the folder is opened", async () => {
  const first = await openPartialFiles(folder);
  await first.append("old", 0, new Uint8Array(10));
  await first.append("new", 0, new Uint8Array(10));
  await fs.utimes(path.join(folder, "old.part"), 1, 1);
  const again = await openPartialFiles(folder);
  expect(await names()).toEqual(["new.part"]);
  expect(await again.load("old")).toHaveLength(0);
});

test("all beginnings can be removed, also those of an earlier process", async () => {
  const first = await openPartialFiles(folder);
  await first.append("a", 0, new Uint8Array(10));
  const again = await openPartialFiles(folder);
  await again.append("b", 0, new Uint8Array(10));
  await again.clear();
  expect(await names()).toEqual([]);
  expect(await again.load("a")).toHaveLength(0);
});
