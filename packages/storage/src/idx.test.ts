import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { StorageError } from "./errors.ts";
import { readIdx } from "./idx.ts";

function idx(shape: number[], data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x0800 | shape.length);
  shape.forEach((size, i) => view.setUint32(4 + 4 * i, size));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

const images = idx(
  [3, 2, 2],
  Uint8Array.from({ length: 12 }, (_, i) => i),
);

test("IDX files are read plain, gzipped, from bytes and from disk", async () => {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-idx-"));
  const file = path.join(directory, "images.gz");
  await fs.writeFile(file, gzipSync(images));
  for (const source of [images, gzipSync(images), file])
    expect(await readIdx(source)).toEqual({ shape: [3, 2, 2], data: images.slice(16) });
  await fs.rm(directory, { recursive: true });
});

test.each([
  ["a missing file", "/nowhere/images-idx3-ubyte", "FileNotFound", "/nowhere/images-idx3-ubyte"],
  ["an empty file", new Uint8Array(), "TruncatedIdx", "expected 4 bytes, found 0"],
  ["a cut header", images.slice(0, 10), "TruncatedIdx", "expected 16 bytes, found 10"],
  ["cut data", images.slice(0, -1), "TruncatedIdx", "expected 28 bytes, found 27"],
  ["bytes after the end", Uint8Array.from([...images, 0]), "BadIdx", "expected 28 bytes, found 29"],
  ["another magic number", Uint8Array.from([0x89, 0x50, 0x4e, 0x47]), "BadIdx", "89 50 4e 47"],
  ["float elements", Uint8Array.from([0, 0, 0x0d, 1, 0, 0, 0, 0]), "BadIdx", "00 00 0d 01"],
  ["no dimension", Uint8Array.from([0, 0, 8, 0]), "BadIdx", "00 00 08 00"],
  ["absurd dimensions", idx([0xffffffff, 0xffffffff], new Uint8Array()), "BadIdx", "more than"],
  ["cut gzip data", gzipSync(images).subarray(0, 20), "TruncatedIdx", "cut off"],
  ["damaged gzip data", Uint8Array.from([0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]), "BadIdx", "damaged"],
])("%s is refused with the reason", async (_name, source, code, text) => {
  await expect(readIdx(source)).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
});

test("no bytes make the reader fail in another way", async () => {
  const file = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(fc.nat(images.length - 1), fc.nat(255)).map(([at, byte]) => images.with(at, byte)),
    fc.nat(27).map((length) => images.slice(0, length)),
  );
  await fc.assert(
    fc.asyncProperty(file, async (bytes) => {
      const result = await readIdx(bytes).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toBeInstanceOf(StorageError);
    }),
    { numRuns: 500, seed: 1 },
  );
});
