import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openReader } from "./readers/open.ts";
import type { OpenOptions } from "./readers/input.ts";
import type { Cell, DataReader, RowBlock } from "./readers/reader.ts";

/** A folder for files of a test, and how to remove it. */
export interface TestFolder extends AsyncDisposable {
  readonly path: string;
  /** @returns path of a file that now has this content, with the folders above it */
  write(name: string, content: string | Uint8Array): Promise<string>;
}

export async function openTestFolder(): Promise<TestFolder> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-data-"));
  return {
    path: folder,
    async write(name, content) {
      const file = path.join(folder, name);
      await fs.mkdir(path.dirname(file), { recursive: true });
      await fs.writeFile(file, content);
      return file;
    },
    [Symbol.asyncDispose]: () => fs.rm(folder, { recursive: true, force: true }),
  };
}

/** All values of a file by column: cells as they are, tensors as one flat array. */
export async function readAll(
  file: string,
  options: OpenOptions = {},
): Promise<{ reader: DataReader; values: Cell[][]; blocks: RowBlock[] }> {
  const reader = await openReader(file, options);
  const blocks = await Array.fromAsync(reader.blocks({ signal: options.signal }));
  await reader.close();
  const values = reader.columns.map((_, column) =>
    blocks.flatMap((block) => [...(block.columns[column]!.values as Iterable<Cell>)]),
  );
  return { reader, values, blocks };
}

/** The file of another program in `fixtures`. */
export function fixture(name: string): string {
  return path.join(import.meta.dirname, "..", "fixtures", name);
}
