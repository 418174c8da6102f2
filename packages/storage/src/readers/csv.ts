import { StorageError } from "../errors.ts";
import { classOf, findHeader, sniffDelimiter, type Header } from "./csv-header.ts";
import { createScanner, type RecordBlock } from "./csv-scanner.ts";
import { createBlockSink, createSampleSink, type SampleRecord } from "./csv-sinks.ts";
import type { InputFile, OpenOptions } from "./input.ts";
import type { Cell, DataReader, ReadOptions, RowBlock } from "./reader.ts";
import { lineError, textChunks } from "./text-chunks.ts";

/** Records that tell whether there is a header. */
const SAMPLE_RECORDS = 20;

interface Table {
  readonly delimiter: string;
  readonly skip: number;
  readonly header: Header;
}

/**
 * Comma-, semicolon-, tab- or bar-separated values (RFC 4180). Cells are strings, empty ones are null.
 * @throws StorageError `BadFile`, `TooLarge`, `UnsupportedFile` with file and line
 */
export async function openCsv(input: InputFile, options: OpenOptions): Promise<DataReader> {
  const { skip = 0, format = "csv" } = options;
  if (options.delimiter !== undefined && !/^[^"\r\n]$/.test(options.delimiter))
    throw new StorageError("BadSchema", `the delimiter ${JSON.stringify(options.delimiter)} is not one character`);
  const [delimiter, sample] = await readSample(input, skip, options);
  const header = findHeader(sample, { file: input.name, header: options.header });
  const { classes, rows } = header;
  return {
    format,
    file: input.name,
    columns: header.columns.map((name) => ({ name, kind: "cells" as const })),
    ...(classes === undefined || rows === undefined ? {} : { classes, rows }),
    blocks: (readOptions) => readBlocks(input, { delimiter, skip, header }, readOptions),
    close: async () => undefined,
  };
}

/** The delimiter and some records at the start of a table. */
async function readSample(input: InputFile, skip: number, options: OpenOptions): Promise<[string, SampleRecord[]]> {
  const file = input.name;
  const sample: SampleRecord[] = [];
  const sink = createSampleSink(file, sample);
  let delimiter = options.delimiter ?? (options.format === "tsv" ? "\t" : undefined);
  let scanner;
  for await (const { text, line } of textChunks(input, skip, { signal: options.signal })) {
    delimiter ??= sniffDelimiter(text);
    scanner ??= createScanner({ file, delimiter }, sink);
    scanner.scan(text, line);
    if (sample.length >= SAMPLE_RECORDS) return [delimiter, sample.slice(0, SAMPLE_RECORDS)];
  }
  scanner?.finish();
  return [delimiter ?? ",", sample];
}

async function* readBlocks(
  input: InputFile,
  { delimiter, skip, header }: Table,
  options: ReadOptions = {},
): AsyncGenerator<RowBlock> {
  const file = input.name;
  const sink = createBlockSink({ file, width: header.columns.length, skip: header.records });
  const scanner = createScanner({ file, delimiter }, sink);
  let rows = 0;
  const emit = (block: RecordBlock): RowBlock => {
    rows += block.lines.length;
    return rowBlock(file, header, block);
  };
  for await (const { text, line } of textChunks(input, skip, options))
    for (const block of scanner.scan(text, line)) yield emit(block);
  for (const block of scanner.finish()) yield emit(block);
  if (header.rows !== undefined && rows !== header.rows)
    throw lineError(
      file,
      skip + 1,
      `it announces ${header.rows} rows, but there are ${rows}`,
      `get the file again; if the line says something else, leave it out with \`skip: ${skip + 1}\``,
    );
}

function rowBlock(file: string, { columns, classes }: Header, block: RecordBlock): RowBlock {
  const { lines } = block;
  const labels = (cells: readonly Cell[], names: readonly string[]) =>
    cells.map((cell, row) => {
      const name = classOf(cell, names);
      if (name !== undefined) return name;
      throw lineError(
        file,
        lines[row]!,
        `the class is ${JSON.stringify(cell)}`,
        `0 to ${names.length - 1} are expected`,
      );
    });
  return {
    rows: lines.length,
    columns: columns.map((name, index) => {
      const cells = block.columns[index]!;
      const isLabel = classes !== undefined && index === columns.length - 1;
      return { kind: "cells", name, values: isLabel ? labels(cells, classes) : cells };
    }),
    locate: (row) => `line ${lines[row]}`,
  };
}
