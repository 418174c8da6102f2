import type { FileHandle } from "node:fs/promises";
import type { ColumnChunk, DecodedArray, SchemaTree } from "hyparquet";
import { assembleNested } from "hyparquet/src/assemble.js";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { convert } from "hyparquet/src/convert.js";
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from "hyparquet/src/schema.js";
import type { ParquetColumn } from "./columns.ts";
import { readAt } from "./footer.ts";
import { checkThrift, ParquetProblem } from "./guard.ts";
import { checkPage, unpackPage } from "./pages.ts";
import { PARSERS } from "./values.ts";

/** Reads the values of one column of one row group, page by page. */
export interface Cursor {
  /** The next values: numbers, text, booleans, null, or nested lists of them. @throws ParquetProblem if there are fewer */
  take(rows: number): Promise<unknown[]>;
}

/** Bytes that are unpacked at the same moment, over all columns. */
export interface Budget {
  take(bytes: number): void;
}

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_HEAD_ELEMENTS = 1000;
/** 256 MiB for all columns together. */
const MAX_HELD_BYTES = 2 ** 28;

export function createBudget(): Budget {
  let held = 0;
  return {
    take(bytes) {
      held += bytes;
      if (held > MAX_HELD_BYTES)
        throw new ParquetProblem(`its pages take more than ${MAX_HELD_BYTES} bytes at once`, { tooLarge: true });
    },
  };
}

export function openCursor(
  handle: FileHandle,
  size: number,
  column: ParquetColumn,
  chunk: ColumnChunk,
  budget: Budget,
): Cursor {
  const meta = chunk.meta_data;
  if (meta === undefined || chunk.file_path) throw new ParquetProblem("unsupported: its columns are in other files");
  const schemaPath = [...column.schemaPath] as SchemaTree[];
  const name = schemaPath.at(-1)!.path;
  if (meta.path_in_schema.join("\n") !== name.join("\n") || meta.type !== column.leaf.type)
    throw new ParquetProblem("its row groups do not have the columns of its schema");
  const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
  const end = start + Number(meta.total_compressed_size);
  if (!(start >= 4 && end > start && end <= size)) throw new ParquetProblem("a column lies outside of the file");
  const isNested = column.kind === "tensor";
  const decoder = {
    pathInSchema: name,
    schemaPath,
    element: column.leaf,
    type: meta.type,
    codec: "UNCOMPRESSED" as const,
    parsers: PARSERS,
  };
  const layout = {
    codec: meta.codec,
    isBoolean: meta.type === "BOOLEAN",
    maxRepetition: getMaxRepetitionLevel(schemaPath),
    maxDefinition: getMaxDefinitionLevel(schemaPath),
  };
  let at = start;
  let held = 0;
  let dictionary: DecodedArray | undefined;
  let values: DecodedArray = [];
  let next = 0;

  /** @returns whether there was one */
  const readNextPage = async (): Promise<boolean> => {
    if (at >= end) return false;
    const window = await readAt(handle, at, Math.min(MAX_HEAD_BYTES, end - at));
    const headLength = checkThrift(window, MAX_HEAD_ELEMENTS);
    const header = parquetHeader({ view: new DataView(window.buffer), offset: 0 });
    const count = checkPage(header);
    const length = header.compressed_page_size;
    if (at + headLength + length > end) throw new ParquetProblem("a page is longer than its column");
    const inWindow = headLength + length <= window.length;
    const packed = inWindow
      ? window.slice(headLength, headLength + length)
      : await readAt(handle, at + headLength, length);
    at += headLength + length;
    if (header.type === "INDEX_PAGE") return true;
    const bytes = header.uncompressed_page_size + 8 * count;
    if (header.type === "DICTIONARY_PAGE") budget.take(bytes);
    else {
      budget.take(bytes - held);
      held = bytes;
    }
    const [page, plainHeader] = unpackPage(packed, header, layout);
    const reader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
    const encoding = (header.data_page_header ?? header.data_page_header_v2)?.encoding ?? "";
    if (encoding.endsWith("_DICTIONARY") && dictionary === undefined)
      throw new ParquetProblem("its dictionary is missing");
    const { data = [] } = readPage(reader, plainHeader, decoder, dictionary, isNested ? values : undefined, 0);
    if (header.type === "DICTIONARY_PAGE") dictionary = convert(data, decoder);
    else {
      if (!isNested && data.length !== count) throw new ParquetProblem("a page has fewer values than it says");
      values = data;
      if (!isNested) next = 0;
    }
    return true;
  };

  const takeFlat = async (rows: number): Promise<unknown[]> => {
    const taken: unknown[] = [];
    while (taken.length < rows) {
      for (const stop = Math.min(values.length, next + rows - taken.length); next < stop; next++)
        taken.push(values[next]);
      if (taken.length < rows && !(await readNextPage())) throw new ParquetProblem("it has fewer rows than it says");
    }
    return taken;
  };
  const takeNested = async (rows: number): Promise<unknown[]> => {
    // The last row of a page may go on in the next one.
    while (values.length <= rows && (await readNextPage()));
    if (values.length < rows) throw new ParquetProblem("it has fewer rows than it says");
    const taken = (values as unknown[]).splice(0, rows);
    const assembled = new Map([[name.join("."), taken]]);
    const top = schemaPath[1]!;
    assembleNested(assembled, top, PARSERS);
    return assembled.get(top.path.join(".")) ?? taken;
  };
  return { take: isNested ? takeNested : takeFlat };
}
