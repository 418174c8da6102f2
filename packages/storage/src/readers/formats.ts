import { openCsv } from "./csv.ts";
import { beginsAsIdx, openIdx } from "./idx.ts";
import type { InputFile, OpenOptions } from "./input.ts";
import { openJsonLines } from "./jsonl.ts";
import { beginsAsNpy, openNpy } from "./npy.ts";
import { openNpz } from "./npz.ts";
import type { DataFormat, DataReader } from "./reader.ts";
import { openText } from "./text.ts";
import { beginsAsZip } from "./zip.ts";

/** One format of data, as `openReader` chooses it. */
export interface FormatEntry {
  /** For people. */
  readonly title: string;
  /** Lower case, with the dot. */
  readonly extensions: readonly string[];
  /** Whether a file begins as this format does (unpacked, at most 64 KiB); without: only names tell the format. */
  readonly begins?: (head: Uint8Array) => boolean;
  /** Whether a folder is read as this format. */
  readonly folders?: boolean;
  readonly open: (input: InputFile, options: OpenOptions) => Promise<DataReader>;
}

/** What is read. Where a file begins as several of them do, its name tells, else the first one is taken. */
export const FORMATS: Partial<Record<DataFormat, FormatEntry>> = {
  csv: { title: "CSV", extensions: [".csv"], open: openCsv },
  idx: { title: "IDX", extensions: [".idx"], begins: beginsAsIdx, open: openIdx },
  images: {
    title: "PNG and JPEG images in folders",
    extensions: [".zip"],
    begins: beginsAsZip,
    folders: true,
    // Only then is the library of images loaded.
    open: async (input, options) => (await import("./images.ts")).openImages(input, options),
  },
  jsonl: { title: "JSON lines", extensions: [".jsonl", ".ndjson"], open: openJsonLines },
  npy: { title: "NumPy array", extensions: [".npy"], begins: beginsAsNpy, open: openNpy },
  npz: { title: "NumPy archive", extensions: [".npz"], begins: beginsAsZip, open: openNpz },
  parquet: {
    title: "Parquet",
    extensions: [".parquet", ".pq"],
    begins: (head) => Buffer.from(head.subarray(0, 4)).toString("latin1") === "PAR1",
    open: async (input) => (await import("./parquet/parquet.ts")).openParquet(input),
  },
  text: { title: "plain text", extensions: [".txt"], open: openText },
  tsv: { title: "TSV", extensions: [".tsv", ".tab"], open: openCsv },
};
