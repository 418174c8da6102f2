import type { InputFile, OpenOptions } from "./input.ts";
import type { DataReader, ReadOptions, RowBlock } from "./reader.ts";
import { textChunks } from "./text-chunks.ts";

const BLOCK_ROWS = 4096;

/**
 * Plain text: one column `text`, each line one row, empty lines too.
 * @throws StorageError `BadFile`, `TooLarge`, `UnsupportedFile` with file and line
 */
export async function openText(input: InputFile, { skip = 0 }: OpenOptions): Promise<DataReader> {
  return {
    format: "text",
    file: input.name,
    columns: [{ name: "text", kind: "cells" }],
    blocks: (options) => readBlocks(input, skip, options),
    close: async () => undefined,
  };
}

async function* readBlocks(input: InputFile, skip: number, options: ReadOptions = {}): AsyncGenerator<RowBlock> {
  for await (const { text, line } of textChunks(input, skip, options)) {
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    for (let at = 0; at < lines.length; at += BLOCK_ROWS) {
      const values = lines
        .slice(at, at + BLOCK_ROWS)
        .map((found) => (found.endsWith("\r") ? found.slice(0, -1) : found));
      yield {
        rows: values.length,
        columns: [{ kind: "cells", name: "text", values }],
        locate: (row) => `line ${line + at + row}`,
      };
    }
  }
}
