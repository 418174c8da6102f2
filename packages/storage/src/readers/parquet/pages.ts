import type { PageHeader } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { checkRuns, ParquetProblem } from "./guard.ts";

/** Of one page, unpacked. */
export const MAX_PAGE_BYTES = 64 * 2 ** 20;
export const MAX_PAGE_VALUES = 2 ** 23;

/** What is needed to unpack a page. */
export interface PageLayout {
  readonly codec: string;
  readonly isBoolean: boolean;
  readonly maxRepetition: number;
  readonly maxDefinition: number;
}

/** @throws ParquetProblem for a page of an unknown kind */
export function valuesOf(header: PageHeader): { readonly num_values: number; readonly encoding: string } {
  const found = header.data_page_header ?? header.data_page_header_v2 ?? header.dictionary_page_header;
  if (found === undefined) throw new ParquetProblem("a page says nothing about its values");
  return found;
}

/** @throws ParquetProblem for sizes and numbers that are negative or beyond what is read */
export function checkPage(header: PageHeader): void {
  const { uncompressed_page_size: size, compressed_page_size: packed, data_page_header_v2: v2, type } = header;
  const values = type === "INDEX_PAGE" ? 0 : valuesOf(header).num_values;
  const levels = v2 === undefined ? 0 : v2.repetition_levels_byte_length + v2.definition_levels_byte_length;
  const counts = [size, packed, values, levels, v2?.num_nulls ?? 0, v2?.num_rows ?? 0];
  if (counts.some((count) => !Number.isInteger(count) || count < 0) || (v2?.num_nulls ?? 0) > values)
    throw new ParquetProblem("a page has impossible sizes");
  if (size > MAX_PAGE_BYTES || packed > MAX_PAGE_BYTES || values > MAX_PAGE_VALUES)
    throw new ParquetProblem(`a page has ${size} bytes and ${values} values, too many`, { tooLarge: true });
  if (levels > packed) throw new ParquetProblem("a page is shorter than its levels");
}

/** @returns the page unpacked, and a header that says so @throws ParquetProblem and errors of the compression */
export function unpackPage(bytes: Uint8Array, header: PageHeader, layout: PageLayout): [Uint8Array, PageHeader] {
  const size = header.uncompressed_page_size;
  const { data_page_header_v2: v2 } = header;
  if (v2 === undefined) {
    const page = decompress(layout.codec, bytes, size);
    if (header.data_page_header !== undefined) checkValues(page, header, layout);
    return [page, { ...header, compressed_page_size: page.length }];
  }
  const levels = v2.repetition_levels_byte_length + v2.definition_levels_byte_length;
  if (size < levels) throw new ParquetProblem("a page is shorter than its levels");
  const packed = v2.is_compressed !== false && size > levels;
  const values = packed ? decompress(layout.codec, bytes.subarray(levels), size - levels) : bytes.subarray(levels);
  const page = new Uint8Array(levels + values.length);
  page.set(bytes.subarray(0, levels));
  page.set(values, levels);
  const unpacked = {
    ...header,
    compressed_page_size: page.length,
    data_page_header_v2: { ...v2, is_compressed: false },
  };
  checkValues(page, unpacked, layout);
  return [page, unpacked];
}

/** Node's own where it has them: they stop at the size that they should have. */
function decompress(codec: string, bytes: Uint8Array, size: number): Uint8Array {
  if (codec === "UNCOMPRESSED") return expectSize(bytes, size);
  const options = { maxOutputLength: Math.max(1, size) };
  if (codec === "GZIP") return expectSize(gunzipSync(bytes, options), size);
  if (codec === "ZSTD") return expectSize(zstdDecompressSync(bytes, options), size);
  if (codec === "BROTLI") return expectSize(brotliDecompressSync(bytes, options), size);
  const unpack = compressors[codec as keyof typeof compressors];
  if (unpack === undefined) throw new ParquetProblem(`unsupported compression ${codec}`);
  return expectSize(unpack(bytes, size), size);
}

function expectSize(page: Uint8Array, size: number): Uint8Array {
  if (page.length !== size) throw new ParquetProblem(`a page unpacks to ${page.length} bytes instead of ${size}`);
  // The library wants arrays, not Node's buffers.
  return page instanceof Buffer ? new Uint8Array(page.buffer, page.byteOffset, page.length) : page;
}

/**
 * A page of a column that is not nested without its levels, if these only say, in one run, that no value is missing: the
 * library would make an array of numbers of them. Undefined for other pages.
 */
export function withoutLevels(page: Uint8Array, header: PageHeader, maxDefinition: number): Uint8Array | undefined {
  const { data_page_header: v1 } = header;
  if (v1 === undefined || maxDefinition === 0) return undefined;
  const length = lengthAt(page, 0);
  const levels = page.subarray(4, 4 + length);
  let count = 0;
  let at = 0;
  for (let shift = 0; at < levels.length && shift <= 28; shift += 7) {
    const byte = levels[at++]!;
    count += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  // An even head is a run of one value, which has a byte here.
  const isFull =
    count % 2 === 0 && count / 2 >= v1.num_values && levels[at] === maxDefinition && levels.length === at + 1;
  return isFull ? page.subarray(4 + length) : undefined;
}

const bitsOf = (level: number) => 32 - Math.clz32(level);

/** Looks through everything in a page of which a few bytes can stand for many values. */
function checkValues(page: Uint8Array, header: PageHeader, layout: PageLayout): void {
  const { data_page_header: v1, data_page_header_v2: v2 } = header;
  const { num_values: values, encoding } = (v1 ?? v2)!;
  let at = 0;
  const levels = (max: number, length: number | undefined): void => {
    if (max > 0) {
      const bytes = length ?? lengthAt(page, at);
      if (length === undefined) at += 4;
      checkRuns(page.subarray(at, at + bytes), bitsOf(max), values, values);
      at += bytes;
    } else at += length ?? 0;
  };
  levels(layout.maxRepetition, v2?.repetition_levels_byte_length);
  const definitions = at;
  levels(layout.maxDefinition, v2?.definition_levels_byte_length);
  if (encoding === "PLAIN_DICTIONARY" || encoding === "RLE_DICTIONARY" || (encoding === "RLE" && !layout.isBoolean))
    checkRuns(page.subarray(at + 1), page[at] ?? 0, values);
  else if (encoding === "RLE") checkRuns(page.subarray(at + 4), 1, values);
  else if (encoding === "DELTA_BYTE_ARRAY") {
    const inLevels = v2 === undefined && layout.maxDefinition > 0;
    const missing = inLevels
      ? values - countDefined(page, definitions, values, layout.maxDefinition)
      : (v2?.num_nulls ?? 0);
    checkPrefixes(page, at, values - missing);
  }
}

function lengthAt(page: Uint8Array, at: number): number {
  return new DataView(page.buffer, page.byteOffset, page.byteLength).getUint32(at, true);
}

/** Text that shares its start with the text before can unpack to far more than the page has. */
function checkPrefixes(page: Uint8Array, offset: number, count: number): void {
  const reader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset };
  if (count === 0) return;
  let total = 0;
  // Lengths of what is shared with the text before, then of what follows.
  for (let part = 0; part < 2; part++) {
    const lengths = new Int32Array(count);
    deltaBinaryUnpack(reader, count, lengths);
    for (const length of lengths) total += length;
  }
  if (total > MAX_PAGE_BYTES)
    throw new ParquetProblem(`a page has ${total} bytes of text, too many`, { tooLarge: true });
}

/** Values of a page that are not missing, by its definition levels. */
function countDefined(page: Uint8Array, offset: number, values: number, max: number): number {
  const found = Array.from({ length: values }, () => 0);
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  readRleBitPackedHybrid({ view, offset }, bitsOf(max), found);
  return found.filter((level) => level === max).length;
}
