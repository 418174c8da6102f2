import type { FileHandle } from "node:fs/promises";
import type { DecodedArray, PageHeader, RowGroup, SchemaTree } from "hyparquet";
import { assembleNested } from "hyparquet/src/assemble.js";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { convert } from "hyparquet/src/convert.js";
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from "hyparquet/src/schema.js";
import type { ParquetColumn } from "./columns.ts";
import { readAt } from "./footer.ts";
import { checkThrift, ParquetProblem } from "./guard.ts";
import { checkPage, unpackPage, valuesOf } from "./pages.ts";
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
const BYTES_PER_VALUE = 8;
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

export interface CursorOptions {
  readonly handle: FileHandle;
  /** Of the file, in bytes. */
  readonly size: number;
  readonly column: ParquetColumn;
  readonly group: RowGroup;
  readonly budget: Budget;
}

/** @throws ParquetProblem if the row group does not have the column */
export function openCursor(options: CursorOptions): Cursor {
  const { kind, schemaPath } = options.column;
  const pages = openPages(options);
  let values: DecodedArray = [];
  let next = 0;
  const takeFlat = async (rows: number): Promise<unknown[]> => {
    const taken: unknown[] = [];
    for (;;) {
      for (const stop = Math.min(values.length, next + rows - taken.length); next < stop; next++)
        taken.push(values[next]);
      if (taken.length === rows) return taken;
      pages.release();
      values = (await pages.read()) ?? missingRows();
      next = 0;
    }
  };
  const takeNested = async (rows: number): Promise<unknown[]> => {
    // The last row of a page may go on in the next one.
    while (values.length <= rows) {
      const longer = await pages.read(values);
      if (longer === undefined) break;
      values = longer;
    }
    if (values.length < rows) missingRows();
    pages.release();
    const taken = (values as unknown[]).splice(0, rows);
    const [, top] = schemaPath as [SchemaTree, SchemaTree];
    const assembled = new Map<string, DecodedArray>([[schemaPath.at(-1)!.path.join("."), taken]]);
    assembleNested(assembled, top, PARSERS);
    return Array.from(assembled.get(top.path.join(".")) ?? taken);
  };
  return { take: kind === "tensor" ? takeNested : takeFlat };
}

function missingRows(): never {
  throw new ParquetProblem("it has fewer rows than it says");
}

interface Pages {
  /**
   * The values of the next page, behind those `before` if the column is nested; undefined at the end of the group.
   * @throws ParquetProblem, errors of the library
   */
  read(before?: DecodedArray): Promise<DecodedArray | undefined>;
  /** Says that the pages so far are not held any longer. */
  release(): void;
}

function openPages({ handle, size, column, group, budget }: CursorOptions): Pages {
  const { start, end, decoder, layout } = chunkOf(column, group, size);
  const isNested = column.kind === "tensor";
  let left = Number(group.num_rows);
  let at = start;
  let held = 0;
  let dictionary: DecodedArray | undefined;

  const readPacked = async (): Promise<[PageHeader, Uint8Array] | undefined> => {
    if (at >= end) return undefined;
    const window = await readAt(handle, at, Math.min(MAX_HEAD_BYTES, end - at));
    const headLength = checkThrift(window, MAX_HEAD_ELEMENTS);
    const header = parquetHeader({ view: new DataView(window.buffer), offset: 0 });
    checkPage(header);
    const length = header.compressed_page_size;
    const from = at + headLength;
    at = from + length;
    if (at > end) throw new ParquetProblem("a page is longer than its column");
    const inWindow = headLength + length <= window.length;
    return [header, inWindow ? window.slice(headLength, headLength + length) : await readAt(handle, from, length)];
  };
  return {
    async read(before) {
      for (let found = await readPacked(); found !== undefined; found = await readPacked()) {
        const [header, packed] = found;
        if (header.type === "INDEX_PAGE") continue;
        const isDictionary = header.type === "DICTIONARY_PAGE";
        const { num_values: count, encoding } = valuesOf(header);
        if (!isNested && !isDictionary && (left -= count) < 0) throw new ParquetProblem("it has more values than rows");
        const bytes = header.uncompressed_page_size + BYTES_PER_VALUE * count;
        budget.take(bytes);
        if (!isDictionary) held += bytes;
        const [page, plainHeader] = unpackPage(packed, header, layout);
        const reader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
        if (!isDictionary && encoding.endsWith("_DICTIONARY") && dictionary === undefined)
          throw new ParquetProblem("its dictionary is missing");
        const { data = [] } = readPage(reader, plainHeader, decoder, dictionary, isNested ? before : undefined, 0);
        if (isDictionary) dictionary = convert(data, decoder);
        else if (!isNested && data.length !== count) throw new ParquetProblem("a page has fewer values than it says");
        else return data;
      }
      return undefined;
    },
    release() {
      budget.take(-held);
      held = 0;
    },
  };
}

/** Where a column lies in the file, and how its values are decoded. */
function chunkOf({ schemaPath, leaf, index }: ParquetColumn, { columns }: RowGroup, size: number) {
  const chunk = columns[index];
  const meta = chunk?.meta_data;
  if (chunk?.file_path) throw new ParquetProblem("unsupported: its columns are in other files");
  const path = [...schemaPath];
  const pathInSchema = path.at(-1)!.path;
  if (meta === undefined || meta.path_in_schema.join("\n") !== pathInSchema.join("\n") || meta.type !== leaf.type)
    throw new ParquetProblem("its row groups do not have the columns of its schema");
  const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
  const end = start + Number(meta.total_compressed_size);
  if (!(start >= 4 && end > start && end <= size)) throw new ParquetProblem("a column lies outside of the file");
  const { type, codec } = meta;
  const uncompressed = "UNCOMPRESSED" as const;
  return {
    start,
    end,
    decoder: { pathInSchema, schemaPath: path, element: leaf, type, codec: uncompressed, parsers: PARSERS },
    layout: {
      codec,
      isBoolean: type === "BOOLEAN",
      maxRepetition: getMaxRepetitionLevel(path),
      maxDefinition: getMaxDefinitionLevel(path),
    },
  };
}
