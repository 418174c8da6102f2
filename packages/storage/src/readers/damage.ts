import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { createRandom } from "../blocks/testing-blocks.ts";
import { StorageError } from "../errors.ts";
import { fixture } from "../testing-files.ts";
import { openImageZip } from "./image-folder.ts";
import { openReader } from "./open.ts";
import type { DataFormat } from "./reader.ts";
import { zipOf } from "./testing-zip.ts";

/** One of each format, small ones. */
const FILES: readonly (readonly [DataFormat, string])[] = [
  ["npy", "numpy-and-images/int64.npy"],
  ["npy", "numpy-and-images/text.npy"],
  ["npz", "numpy-and-images/fashion-compressed.npz"],
  ["images", "numpy-and-images/fashion-images-infozip.zip"],
  ["images", "numpy-and-images/kinds-of-images.zip"],
  ["csv", "sklearn/iris.csv"],
  ["csv", "sklearn/iris.csv.gz"],
  ["csv", "sklearn/wine_data.csv.zst"],
  ["text", "sklearn/LICENSE"],
  ["parquet", "parquet/numbers.snappy.parquet"],
  ["parquet", "parquet/numbers.lz4.parquet"],
  ["parquet", "parquet/numbers.none.parquet"],
  ["parquet", "parquet/numbers.v2.parquet"],
  ["parquet", "parquet/tensors.none.parquet"],
  ["parquet", "parquet/dates.parquet"],
  ["parquet", "parquet/duckdb.zstd.parquet"],
];
const QUOTED = Array.from({ length: 50 }, (_, i) => `${i};"a ""b""\n${i}";\r\n`).join("");
const JSON_LINES = Array.from({ length: 50 }, (_, i) => `{"a":${i},"b":{"c":"é"},"d":[[1,2],[3,${i}]]}\n`).join("");
/** More than any file may take while it is read. */
const MAX_MORE_BYTES = 2 ** 28;
const IDX = Buffer.concat([Buffer.from([0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0, 5]), Buffer.alloc(500, 7)]);

/**
 * Changes and cuts files at random and reads them: either the data comes, or a StorageError that names the file, and
 * nothing is written.
 * @throws Error on anything else
 */
export async function damageFiles(options: {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}): Promise<{ files: number; refused: number }> {
  const random = createRandom(options.seed);
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-damage-"));
  const originals: [DataFormat, string, Buffer][] = [
    ["idx", "data.idx", IDX],
    ["csv", "quoted.csv", Buffer.from(`x;y;z\n${QUOTED}`)],
    ["jsonl", "rows.jsonl", Buffer.from(JSON_LINES)],
  ];
  const photos = await openImageZip(fixture("numpy-and-images/kinds-of-images.zip"));
  for (const { name, read } of photos.entries)
    originals.push(["images", path.basename(name), Buffer.from(await read())]);
  await photos.close();
  for (const [format, name] of FILES) originals.push([format, path.basename(name), await fs.readFile(fixture(name))]);
  let refused = 0;
  try {
    for (let i = 0; i < options.count; i++) {
      const [format, name, original] = originals[i % originals.length]!;
      const bytes = damaged(original, random);
      const isPhoto = /\.(png|jpg)$/.test(name);
      const file = path.join(folder, isPhoto ? "photo.zip" : name);
      // Within an archive whose checksums are right, so that the decoder sees it.
      await fs.writeFile(file, isPhoto ? zipOf([{ name: `a/${name}`, data: bytes }]) : bytes);
      const before = process.memoryUsage().rss;
      const result = await read(file, format).catch((error: unknown) => error);
      if (result instanceof StorageError && result.message.includes(file)) refused++;
      else if (result !== undefined) throw new Error(`file ${i}, ${name}`, { cause: result });
      if (process.memoryUsage().rss - before > MAX_MORE_BYTES)
        throw new Error(`file ${i}, ${name}: reading it took too much memory`);
      await fs.rm(file);
      const left = await fs.readdir(folder);
      if (left.length > 0) throw new Error(`file ${i}, ${name}: reading it wrote ${left.join(", ")}`);
      options.onProgress?.(i + 1);
    }
    return { files: options.count, refused };
  } finally {
    await fs.rm(folder, { recursive: true });
  }
}

/** One to four bytes, at the start or the end more often, where the structure is; sometimes the end is missing. */
function damaged(original: Buffer, random: (below: number) => number): Buffer {
  const bytes = Buffer.from(original);
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const near = random(Math.min(300, bytes.length));
    const at = [random(bytes.length), near, bytes.length - 1 - near][random(3)]!;
    bytes[at] = random(256);
  }
  return random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
}

async function read(file: string, format: DataFormat): Promise<void> {
  const reader = await openReader(file, { format });
  try {
    for await (const block of reader.blocks()) block.locate(0);
  } finally {
    await reader.close();
  }
}
