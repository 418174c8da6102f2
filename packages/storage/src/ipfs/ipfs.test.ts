import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { CarReader, CarWriter } from "@ipld/car";
import { cidOf, equalBytes } from "@skynet/protocol";
import { CAREncoderStream, createDirectoryEncoderStream, createFileEncoderStream } from "ipfs-car";
import { CID } from "multiformats/cid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openBlockStore, type DiskBlockStore } from "../blocks/block-store.ts";
import { LAYOUTS } from "../remote/unixfs.ts";
import { getContent, putContent } from "./content.ts";
import { exportCar } from "./export-car.ts";
import { blocksOfFile } from "./file-tree.ts";
import { exportFile, importFile } from "./files.ts";
import { importCar } from "./import-car.ts";

const fixtures = path.join(import.meta.dirname, "../../fixtures");
/** Printed by the Go program that wrote the fixtures. */
const GO_ROOTS = {
  v1: "bafybeibjhslywaby56lxsw7v6akpe4m2h3whtskmycvcr52tsyafweddhy",
  v2: "bafybeicuxdoguug6dupxubd4osfa43fy322bekq3wtr5xhomcnembvi6u4",
};
const pattern = Uint8Array.from({ length: 2_600_000 }, (_, i) => (i % 251) ^ ((i >> 16) & 255));

const run = promisify(execFile);

let folder: string;
let store: DiskBlockStore;
const place = (name: string) => path.join(folder, name);
let stores = 0;
const emptyStore = () => openBlockStore(place(`blocks-${stores++}`));

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-ipfs-"));
  store = await emptyStore();
  await fs.writeFile(place("pattern"), pattern);
  for (const version of ["v1", "v2"] as const)
    await fs.writeFile(
      place(`${version}.car`),
      gunzipSync(await fs.readFile(path.join(fixtures, `go-car-${version}.car.gz`))),
    );
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

describe("files", () => {
  test("come back, with progress, and have the CIDs that Go gives them, in both layouts", async () => {
    const seen: [number, number][] = [];
    const onProgress = (done: number, total: number) => void seen.push([done, total]);
    const cid = await importFile(store, place("pattern"), { onProgress });
    expect(cid).toBe(GO_ROOTS.v1);
    expect(seen.at(-1)).toEqual([pattern.length, pattern.length]);
    expect(await importFile(store, place("pattern"), { layout: LAYOUTS[0] })).toBe(GO_ROOTS.v2);
    for (const root of [cid, GO_ROOTS.v2]) {
      expect(await exportFile(store, root, place("back"), { overwrite: true, onProgress })).toBe(pattern.length);
      expect(equalBytes(await fs.readFile(place("back")), pattern)).toBe(true);
    }
    expect(await blocksOfFile(store, cid)).toHaveLength(4);
    expect(await blocksOfFile(store, GO_ROOTS.v2)).toHaveLength(11);
  });

  test("of no and of few bytes are one block", async () => {
    for (const bytes of [new Uint8Array(), Uint8Array.of(1, 2, 3)]) {
      await fs.writeFile(place("small"), bytes);
      const cid = await importFile(store, place("small"));
      expect(cid).toBe(await cidOf(bytes));
      expect(await exportFile(store, cid, place("back"), { overwrite: true })).toBe(bytes.length);
    }
  });

  test("that are not here, or are none, are clear errors, and nothing is written", async () => {
    const other = await emptyStore();
    const missing = exportFile(other, GO_ROOTS.v1, place("none"));
    await expect(missing).rejects.toMatchObject({
      code: "BlockMissing",
      message: expect.stringContaining(GO_ROOTS.v1) as string,
    });
    await expect(exportFile(other, "hello", place("none"))).rejects.toMatchObject({ code: "BadCid" });
    await expect(importFile(other, place("nowhere"))).rejects.toMatchObject({ code: "FileNotFound" });
    await expect(importFile(other, folder)).rejects.toMatchObject({ code: "FileNotFound" });
    expect((await fs.readdir(folder)).filter((name) => name.startsWith("none"))).toEqual([]);
  });
});

test("content is one block up to 4 MiB, and a file of IPFS above", async () => {
  const small = pattern.subarray(0, 1000);
  const large = new Uint8Array(2 * pattern.length);
  for (const at of [0, pattern.length]) large.set(pattern, at);
  const cids = [await putContent(store, small), await putContent(store, large)];
  expect(cids[0]).toBe(await cidOf(small));
  expect(equalBytes((await getContent(store, cids[1]!))!, large)).toBe(true);
  expect(await getContent(store, cids[0]!)).toEqual(small);
  await expect(getContent(store, cids[1]!, { maxBytes: 1000 })).rejects.toMatchObject({ code: "TooLarge" });
  expect(await getContent(store, await cidOf(Uint8Array.of(9)))).toBeUndefined();
});

describe("CAR files of other implementations", () => {
  test.each(["v1", "v2"] as const)("Go's of version %s", async (version) => {
    const here = await emptyStore();
    const { roots, bytes } = await importCar(here, place(`${version}.car`));
    expect(roots).toEqual([GO_ROOTS[version]]);
    expect(here.stats().bytes).toBe(bytes);
    await exportFile(here, roots[0]!, place("from-go"), { overwrite: true });
    expect(equalBytes(await fs.readFile(place("from-go")), pattern)).toBe(true);
  });

  test("web3.storage's, with the same CID for the same file", async () => {
    const blocks = createFileEncoderStream(new Blob([pattern]));
    const [parts, roots]: [Uint8Array[], CID[]] = [[], []];
    await blocks
      .pipeThrough(
        new TransformStream({ transform: (block, out) => void (roots.push(block.cid as CID), out.enqueue(block)) }),
      )
      .pipeThrough(new CAREncoderStream([CID.parse(GO_ROOTS.v1) as never]))
      .pipeTo(new WritableStream({ write: (part) => void parts.push(part) }));
    expect(roots.at(-1)!.toString()).toBe(GO_ROOTS.v1);
    await fs.writeFile(place("web3.car"), Buffer.concat(parts));
    expect((await importCar(await emptyStore(), place("web3.car"))).roots).toEqual([GO_ROOTS.v1]);
  });

  test("a file in a folder is got by its path", async () => {
    const files = [new File(["a,b\n1,2\n"], "data/iris.csv"), new File(["hello"], "readme.txt")];
    const parts: Uint8Array[] = [];
    let root: CID | undefined;
    await createDirectoryEncoderStream(files as never)
      .pipeThrough(
        new TransformStream({ transform: (block, out) => void ((root = block.cid as CID), out.enqueue(block)) }),
      )
      .pipeThrough(new CAREncoderStream())
      .pipeTo(new WritableStream({ write: (part) => void parts.push(part) }));
    await fs.writeFile(place("folder.car"), Buffer.concat(parts));
    const here = await emptyStore();
    await importCar(here, place("folder.car"));
    await exportFile(here, `${root!.toString()}/data/iris.csv`, place("iris.csv"));
    expect(await fs.readFile(place("iris.csv"), "utf8")).toBe("a,b\n1,2\n");
    await expect(exportFile(here, root!.toString(), place("none"))).rejects.toMatchObject({ code: "UnsupportedFile" });
    await expect(exportFile(here, `${root!.toString()}/nothing`, place("none"))).rejects.toMatchObject({
      code: "FileNotFound",
    });
  });
});

describe("our CAR files", () => {
  beforeAll(async () => {
    await importFile(store, place("pattern"));
    await exportCar(store, GO_ROOTS.v1, place("ours.car"));
  });

  test("are read by another implementation: each block once, the file in its order", async () => {
    const reader = await CarReader.fromBytes(await fs.readFile(place("ours.car")));
    expect((await reader.getRoots()).map(String)).toEqual([GO_ROOTS.v1]);
    const order: string[] = [];
    for await (const { cid, bytes } of reader.blocks()) {
      order.push(cid.toString());
      expect(await cidOf(bytes, cid.code === 0x70 ? "dag-pb" : "raw")).toBe(cid.toString());
    }
    expect(order).toHaveLength(4);
    const command = path.join(path.dirname(fileURLToPath(import.meta.resolve("ipfs-car"))), "bin.js");
    await run(process.execPath, [command, "unpack", place("ours.car"), "--output", place("unpacked")]);
    expect(equalBytes(await fs.readFile(place("unpacked")), pattern)).toBe(true);
  });

  test("of content that is not wholly here is a named error, and leaves nothing behind", async () => {
    const here = await emptyStore();
    await importCar(here, place("ours.car"));
    const leaf = (await blocksOfFile(here, GO_ROOTS.v1)).at(-1)!;
    const partly = { get: async (cid: string) => (cid === leaf ? undefined : here.get(cid)) };
    await expect(exportCar(partly, GO_ROOTS.v1, place("partly.car"))).rejects.toMatchObject({
      code: "BlockMissing",
      message: expect.stringContaining(leaf) as string,
    });
    await expect(exportCar(await emptyStore(), GO_ROOTS.v1, place("partly.car"))).rejects.toMatchObject({
      code: "BlockMissing",
    });
    expect((await fs.readdir(folder)).filter((name) => name.startsWith("partly"))).toEqual([]);
  });

  test("are written one block at a time, as fast as the disk takes them", async () => {
    const progress: number[] = [];
    const ahead: number[] = [];
    let read = 0;
    const counting = {
      get: async (cid: string) => {
        const bytes = await store.get(cid);
        read += bytes!.length;
        return bytes;
      },
    };
    await exportCar(counting, GO_ROOTS.v1, place("slow.car"), {
      onProgress: (written) => {
        progress.push(written);
        ahead.push(read - written);
      },
    });
    expect(progress.at(-1)).toBe((await fs.stat(place("slow.car"))).size);
    expect(Math.max(...ahead)).toBeLessThanOrEqual(2 * 2 ** 20);
  });

  test("do not replace a file unless they may", async () => {
    await fs.writeFile(place("mine.csv"), "1,2\n");
    for (const write of [exportCar, exportFile])
      await expect(write(store, GO_ROOTS.v1, place("mine.csv"))).rejects.toMatchObject({
        code: "FileExists",
        hint: expect.stringContaining("--force") as string,
      });
    expect(await fs.readFile(place("mine.csv"), "utf8")).toBe("1,2\n");
    await exportFile(store, GO_ROOTS.v1, place("mine.csv"), { overwrite: true });
    expect(equalBytes(await fs.readFile(place("mine.csv")), pattern)).toBe(true);
  });

  test.skipIf(!process.env.SKYNET_GO_CAR)("are read by Go (set SKYNET_GO_CAR, see fixtures/go-car)", async () => {
    const { stdout } = await run(process.env.SKYNET_GO_CAR!, ["read", place("ours.car"), place("by-go")]);
    expect(stdout.trim()).toBe(`${GO_ROOTS.v1} 4`);
    expect(equalBytes(await fs.readFile(place("by-go")), pattern)).toBe(true);
  });
});

describe("a CAR that is", () => {
  const variant = async (name: string, change: (bytes: Buffer) => Buffer) => {
    await fs.writeFile(place(name), change(await fs.readFile(place("v1.car"))));
    return place(name);
  };
  const carOf = async (...blocks: { cid: CID; bytes: Uint8Array }[]) => {
    const { writer, out } = CarWriter.create([blocks[0]!.cid]);
    const parts: Uint8Array[] = [];
    const reading = (async () => {
      for await (const part of out) parts.push(part);
    })();
    for (const block of blocks) await writer.put(block);
    await writer.close();
    await reading;
    return Buffer.concat(parts);
  };

  test.each([
    ["cut", "TruncatedFile", (bytes: Buffer) => bytes.subarray(0, 1_500_000)],
    ["changed in a block", "CorruptBlock", (bytes: Buffer) => bytes.fill(1, 1_500_000, 1_500_001)],
    ["no CAR", "BadFile", () => Buffer.from("id,name\n1,one\n")],
    ["empty", "TruncatedFile", () => Buffer.alloc(0)],
    ["a bomb", "TooLarge", (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 59), Buffer.from("ffffffff0f", "hex")])],
    ["without a number", "BadFile", (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 59), Buffer.alloc(12, 0xff)])],
  ])("%s is a named error with its offset, and nothing wrong is kept", async (name, code, change) => {
    const here = await emptyStore();
    const file = await variant(name, change);
    await expect(importCar(here, file)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(new RegExp(`${name}, byte \\d+: `)) as string,
    });
    const { good, lost } = await here.verify();
    expect([lost, good.bytes <= 1_048_576]).toEqual([[], true]);
  });

  test("without its root, or with hashes that are not kept, is a named error", async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const raw = CID.parse(await cidOf(bytes));
    const header = (await carOf({ cid: raw, bytes })).subarray(0, 59);
    await fs.writeFile(place("rootless"), header);
    await expect(importCar(await emptyStore(), place("rootless"))).rejects.toMatchObject({ code: "BlockMissing" });
    const blake = CID.parse("bafk2bzaceaa466o2jfc4g4ggrmtf55ygigvkmxvkr5mvhy4qbwlxetbmlkqjk");
    await fs.writeFile(place("blake"), await carOf({ cid: raw, bytes }, { cid: blake, bytes }));
    await expect(importCar(store, place("blake"))).rejects.toMatchObject({
      code: "UnsupportedFile",
      message: expect.stringMatching(/byte \d+.*bafk2bz/) as string,
    });
  });
});
