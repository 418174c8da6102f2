import type { FileHandle } from "node:fs/promises";
import type { DecodedArray, Encoding, PageHeader, RowGroup, SchemaTree } from "hyparquet";
import { assembleNested } from "hyparquet/src/assemble.js";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { convert, convertWithDictionary } from "hyparquet/src/convert.js";
import { readDataPage, readDataPageV2 } from "hyparquet/src/datapage.js";
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from "hyparquet/src/schema.js";
import type { ParquetColumn } from "./columns.ts";
import { readAt } from "./footer.ts";
import { checkThrift, ParquetProblem } from "./guard.ts";
import { checkPage, unpackPage, valuesOf, withoutLevels } from "./pages.ts";
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
  let page: FlatPage = { values: [], levels: [], count: 0 };
  let next = 0;
  let nextValue = 0;
  const maxLevel = getMaxDefinitionLevel([...schemaPath]);
  const takeFlat = async (rows: number): Promise<unknown[]> => {
    const taken: unknown[] = [];
    for (;;) {
      const { values, levels, count } = page;
      for (const stop = Math.min(count, next + rows - taken.length); next < stop; next++)
        taken.push(levels.length > 0 && levels[next] !== maxLevel ? null : values[nextValue++]);
      if (taken.length === rows) return taken;
      pages.release();
      page = (await pages.readFlat()) ?? missingRows();
      next = nextValue = 0;
    }
  };
  let values: DecodedArray = [];
  const takeNested = async (rows: number): Promise<unknown[]> => {
    // The last row of a page may go on in the next one.
    while (values.length <= rows) {
      const longer = await pages.readNested(values);
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

/** A page of a column that is not nested. */
interface FlatPage {
  /** Of rows, with and without a value. */
  readonly count: number;
  /** Without those that are missing. */
  readonly values: DecodedArray;
  /** For each row whether it has a value (the column's level) or not (less); empty if all have. */
  readonly levels: readonly number[];
}

/** Pages one after the other, undefined at the end of the group. They raise ParquetProblem and errors of the library. */
interface Pages {
  readFlat(): Promise<FlatPage | undefined>;
  /** @param before rows so far, to which those of the page are added: the last one may go on */
  readNested(before: DecodedArray): Promise<DecodedArray | undefined>;
  /** Says that the pages so far are not held any longer. */
  release(): void;
}

function openPages(options: CursorOptions): Pages {
  const { column, group, budget } = options;
  const { decoder, layout, ...range } = chunkOf(column, group, options.size);
  const fullDecoder = { ...decoder, schemaPath: decoder.schemaPath.slice(0, 1) };
  const readPacked = packedPages(options, range);
  let left = Number(group.num_rows);
  let held = 0;
  let dictionary: DecodedArray | undefined;

  const readOne = async (): Promise<[PageHeader, Uint8Array] | undefined> => {
    const found = await readPacked();
    if (found === undefined) return undefined;
    const [header, packed] = found;
    const bytes = header.uncompressed_page_size + BYTES_PER_VALUE * valuesOf(header).num_values;
    budget.take(bytes);
    const [page, plainHeader] = unpackPage(packed, header, layout);
    if (header.type !== "DICTIONARY_PAGE") {
      held += bytes;
      if (valuesOf(header).encoding.endsWith("_DICTIONARY") && dictionary === undefined)
        throw new ParquetProblem("its dictionary is missing");
      return [plainHeader, page];
    }
    if (dictionary !== undefined) throw new ParquetProblem("it has two dictionaries");
    const { data = [] } = readPage(readerOf(page), plainHeader, decoder, undefined, undefined, 0);
    dictionary = convert(data, decoder);
    // Once at most.
    return readOne();
  };
  return {
    async readFlat() {
      const found = await readOne();
      if (found === undefined) return undefined;
      const [header, page] = found;
      const { num_values: count, encoding } = valuesOf(header);
      if ((left -= count) < 0) throw new ParquetProblem("it has more values than rows");
      const v1 = header.data_page_header;
      const full = withoutLevels(page, header, layout.maxDefinition);
      const { dataPage, definitionLevels } =
        v1 === undefined
          ? readDataPageV2(page, header, decoder)
          : readDataPage(full ?? page, v1, full === undefined ? decoder : fullDecoder);
      const levels = definitionLevels ?? [];
      const defined = levels.length === 0 ? count : levels.filter((level) => level === layout.maxDefinition).length;
      if (dataPage.length !== defined) throw new ParquetProblem("a page has fewer values than it says");
      return { count, levels, values: convertWithDictionary(dataPage, dictionary, encoding as Encoding, decoder) };
    },
    async readNested(before) {
      const found = await readOne();
      if (found === undefined) return undefined;
      const [header, page] = found;
      return readPage(readerOf(page), header, decoder, dictionary, before, 0).data;
    },
    release() {
      budget.take(-held);
      held = 0;
    },
  };
}

function readerOf(page: Uint8Array) {
  return { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
}

/** Reads the pages of a column from the file as they are there, without those that are no data. */
function packedPages({ handle }: CursorOptions, { start, end }: { start: number; end: number }) {
  let at = start;
  return async (): Promise<[PageHeader, Uint8Array] | undefined> => {
    for (;;) {
      if (at >= end) return undefined;
      const window = await readAt(handle, at, Math.min(MAX_HEAD_BYTES, end - at));
      const headLength = checkThrift(window, MAX_HEAD_ELEMENTS);
      const header = parquetHeader({ view: new DataView(window.buffer), offset: 0 });
      checkPage(header);
      const length = header.compressed_page_size;
      const from = at + headLength;
      at = from + length;
      if (at > end) throw new ParquetProblem("a page is longer than its column");
      if (header.type === "INDEX_PAGE") continue;
      const inWindow = headLength + length <= window.length;
      return [header, inWindow ? window.slice(headLength, headLength + length) : await readAt(handle, from, length)];
    }
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
