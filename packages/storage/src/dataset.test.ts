import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { committedId, decode, encode, merkleRoot, toHex } from "@skynet/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encryptBlock, generateDataKey, type DataKey } from "./age.ts";
import { batchLeaf, cutBatches, type Batch, type BatchSource } from "./batches.ts";
import { openBlockStore, type BlockStore } from "./blocks/block-store.ts";
import { openDataset, publishDataset, type PublishedDataset } from "./dataset.ts";
import { encodeManifest } from "./manifest.ts";
import { allBatches, rowsOf } from "./testing.ts";

let directory: string;
let blocks: BlockStore;
let key: DataKey;
let source: BatchSource;
let batches: Batch[];
let published: PublishedDataset;

beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-dataset-"));
  blocks = await openBlockStore(path.join(directory, "requester"));
  key = await generateDataKey();
  const images = Int8Array.from({ length: 10 * 6 }, (_, i) => (i * 37) % 64);
  const labels = Uint8Array.from({ length: 10 }, (_, i) => i % 3);
  source = cutBatches(rowsOf(images, labels), 6, 4);
  batches = await allBatches(source);
  published = await publishDataset({ name: "toy", source, classes: 3, blockStore: blocks, recipient: key.recipient });
});
afterEach(() => fs.rm(directory, { recursive: true }));

const open = (changes: Partial<Parameters<typeof openDataset>[0]> = {}) =>
  openDataset({
    manifestBytes: published.manifestBytes,
    expectedRoot: published.root,
    fetch: async (cid) => (await blocks.get(cid))!,
    identity: key.identity,
    ...changes,
  });

test("a worker gets exactly the published batches, and fetches each once", async () => {
  const fetched: string[] = [];
  const blockStore = await openBlockStore(path.join(directory, "worker"));
  const dataset = open({
    blockStore,
    fetch: async (cid) => {
      fetched.push(cid);
      return (await blocks.get(cid))!;
    },
  });
  expect(dataset.batchCount).toBe(3);
  for (const index of [2, 0, 2, 0]) expect(await dataset.batch(index)).toEqual(batches[index]);
  expect(fetched).toEqual([published.manifest.cids[2], published.manifest.cids[0]]);
  expect(published.root).toBe(toHex(merkleRoot(batches.map((batch) => batchLeaf(batch, 6)))));
  expect(await blocks.get(published.manifestCid)).toEqual(published.manifestBytes);
});

test("stored batches are ciphertext", async () => {
  const block = await blocks.get(published.manifest.cids[0]!);
  expect(Buffer.from(block!).includes(Buffer.from(batches[0]!.x.buffer))).toBe(false);
  const stranger = await generateDataKey();
  await expect(open({ identity: stranger.identity }).batch(0)).rejects.toMatchObject({ code: "CannotDecrypt" });
});

test("another root, a changed manifest or nonsense is refused", () => {
  const other = toHex(new Uint8Array(32).fill(1));
  expect(() => open({ expectedRoot: other })).toThrow(expect.objectContaining({ code: "BadManifest" }));
  const { manifest } = published;
  const changed: [string, unknown][] = [
    ["leaves", manifest.leaves.toReversed()],
    ["cids", manifest.cids.slice(1)],
    ["cids", ["../secret", ...manifest.cids.slice(1)]],
    ["batchSize", 0],
    ["version", 2],
    ["extra", 1],
  ];
  for (const [field, value] of changed) {
    const manifestBytes = encode({ ...(decode(published.manifestBytes) as object), [field]: value });
    expect(() => open({ manifestBytes }), field).toThrow(expect.objectContaining({ code: "BadManifest" }));
  }
  expect(() => open({ manifestBytes: new Uint8Array(9) })).toThrow(expect.objectContaining({ code: "BadManifest" }));
});

test("a swapped batch, other bytes, or a label out of range never reach training", async () => {
  const { manifest } = published;
  const swapped = encodeManifest({ ...manifest, cids: manifest.cids.toReversed() });
  await expect(open({ manifestBytes: swapped }).batch(0)).rejects.toMatchObject({ code: "BadBatch" });
  const wrong = open({ fetch: async () => encryptBlock(new Uint8Array(28), [key.recipient]) });
  await expect(wrong.batch(0)).rejects.toMatchObject({ code: "CorruptBlock" });
  const fewer = encodeManifest({ ...manifest, classes: 2 });
  await expect(open({ manifestBytes: fewer }).batch(0)).rejects.toMatchObject({ code: "BadBatch" });
  await expect(open().batch(3)).rejects.toMatchObject({ code: "BadBatch" });
});

test("labels beyond the classes, and more batches than a manifest holds, are not published", async () => {
  const options = { name: "toy", source, classes: 3, blockStore: blocks, recipient: key.recipient };
  await expect(publishDataset({ ...options, classes: 2 })).rejects.toMatchObject({ code: "BadDataset" });
  const many = { ...source, count: 2_000_000 };
  await expect(publishDataset({ ...options, source: many })).rejects.toMatchObject({ code: "TooLarge" });
  await expect(publishDataset({ ...options, signal: AbortSignal.abort() })).rejects.toThrow("aborted");
});

test("with commitments the leaves are hashes of their points, and other points are refused", async () => {
  const tag = new Uint8Array(32).fill(9);
  const points = batches.map((_, i) => new Uint8Array(128).fill(i + 1));
  const commitments = { tag, points };
  const options = { name: "toy", source, classes: 3, blockStore: blocks, recipient: key.recipient };
  const committed = await publishDataset({ ...options, commitments });
  expect(committed.manifest.leaves.map(toHex)).toEqual(points.map((own) => committedId(toHex(tag), own)));
  expect(committed.root).not.toBe(published.root);
  const dataset = open({ manifestBytes: committed.manifestBytes, expectedRoot: committed.root });
  expect(await dataset.batch(1)).toEqual(batches[1]);

  const { manifest } = committed;
  const others: unknown[] = [
    { tag: new Uint8Array(32), points },
    { tag, points: points.toReversed() },
    { tag, points: points.slice(1) },
    { tag, points: points.map((own) => own.subarray(1)) },
  ];
  for (const wrong of others) {
    const manifestBytes = encode({ ...manifest, commitments: wrong });
    expect(() => open({ manifestBytes, expectedRoot: committed.root })).toThrow(
      expect.objectContaining({ code: "BadManifest" }),
    );
  }
});
