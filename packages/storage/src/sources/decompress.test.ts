import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StorageError } from "../errors.ts";
import { openTestFolder, type TestFolder } from "../testing-files.ts";
import { packingOf, unpackFile, type UnpackOptions } from "./decompress.ts";

let folder: TestFolder;
beforeAll(async () => {
  folder = await openTestFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const text = Buffer.from(Array.from({ length: 50_000 }, (_, i) => `${i},${(i * 7919) % 1000}\n`).join(""));
let files = 0;
async function unpack(bytes: Uint8Array, options: UnpackOptions = {}): Promise<Buffer> {
  const file = await folder.write(`file-${files++}`, bytes);
  return Buffer.concat(await Array.fromAsync(unpackFile(file, packingOf(bytes), options)));
}

/** With a checksum, as the `zstd` command writes it. */
const zstd = (bytes: Uint8Array) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });

describe.each([
  ["gzip", gzipSync],
  ["zstd", zstd],
] as const)("%s", (name, compress) => {
  const packed = compress(text);

  it("unpacks one member and several, and takes zeros behind them", async () => {
    expect(packingOf(packed)).toBe(name);
    expect(await unpack(packed)).toEqual(text);
    const twice = Buffer.concat([packed, packed, Buffer.alloc(10_000)]);
    expect((await unpack(twice)).equals(Buffer.concat([text, text]))).toBe(true);
  });

  it("tells how much of the file was read", async () => {
    const seen: [number, number][] = [];
    await unpack(packed, { onProgress: (...progress) => seen.push(progress) });
    expect(seen.at(-1)).toEqual([packed.length, packed.length]);
  });

  it.each([20, 1000, packed.length - 1])("names a file that is cut off after %d bytes", async (length) => {
    await expect(unpack(packed.subarray(0, length))).rejects.toMatchObject({
      code: "TruncatedFile",
      message: expect.stringContaining("file-"),
    });
  });

  it("names a file with a second member that is cut off", async () => {
    const bytes = Buffer.concat([packed, packed.subarray(0, 1000)]);
    await expect(unpack(bytes)).rejects.toMatchObject({ code: "TruncatedFile" });
  });

  it.each([10, 600_000])("names a file with %d other bytes behind the data", async (length) => {
    const bytes = Buffer.concat([packed, Buffer.alloc(length, "garbage")]);
    await expect(unpack(bytes)).rejects.toMatchObject({ code: "BadFile", message: expect.stringContaining("follows") });
  });

  it("names a file that is damaged", async () => {
    const bytes = Buffer.from(packed);
    bytes.fill(0x55, 3000, 3100);
    const error = await unpack(bytes).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(StorageError);
    expect((error as StorageError).code).toMatch(/^(BadFile|TruncatedFile)$/);
  });

  it("stops a bomb where its reader must hold what comes out, by bytes and by ratio", async () => {
    const bomb = compress(Buffer.alloc(2 ** 25));
    await expect(unpack(bomb, { maxBytes: 2 ** 20 })).rejects.toMatchObject({ code: "TooLarge" });
    await expect(unpack(bomb, { maxRatio: 100 })).rejects.toMatchObject({ code: "TooLarge" });
    expect(await unpack(packed, { maxBytes: text.length, maxRatio: 100 })).toHaveLength(text.length);
  });

  it("holds little of what comes out of a bomb", async () => {
    const member = compress(Buffer.alloc(2 ** 24));
    const file = await folder.write(`bomb-${name}`, Buffer.concat(Array.from({ length: 8 }, () => member)));
    const before = process.memoryUsage().rss;
    let total = 0;
    let most = 0;
    for await (const chunk of unpackFile(file, name)) {
      total += chunk.length;
      most = Math.max(most, process.memoryUsage().rss);
    }
    expect(total).toBe(2 ** 27);
    expect(most - before).toBeLessThan(100 * 2 ** 20);
  });
});

it("refuses zstd with a window that would take too much memory", async () => {
  // A frame header that asks for a window of 2 GiB (RFC 8878, 3.1.1.1.2), and an empty last block.
  const bytes = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00);
  await expect(unpack(bytes)).rejects.toMatchObject({ code: "TooLarge", message: expect.stringContaining("file-") });
});

it("names a file that is missing, and stops when it is told to", async () => {
  await expect(Array.fromAsync(unpackFile("/nowhere", "gzip"))).rejects.toMatchObject({ code: "FileNotFound" });
  const file = await folder.write("stopped", gzipSync(Buffer.alloc(2 ** 25)));
  const controller = new AbortController();
  const reading = async () => {
    for await (const _ of unpackFile(file, "gzip", { signal: controller.signal }))
      controller.abort(new Error("enough"));
  };
  await expect(reading()).rejects.toThrow("enough");
});
