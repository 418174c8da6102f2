import { StorageError } from "../errors.ts";
import { classOf, findHeader, sniffDelimiter, type Header, type SampleRecord } from "./csv-header.ts";
import { createRecordParser } from "./csv-records.ts";
import type { InputFile, OpenOptions } from "./input.ts";
import { MAX_COLUMNS } from "./limits.ts";
import type { Cell, DataReader, ReadOptions, RowBlock } from "./reader.ts";
import { lineChunks, lineError } from "./text-chunks.ts";

/** Records that tell whether there is a header. */
const SAMPLE_RECORDS = 20;
/** The start of a file that tells its delimiter. */
const SNIFFED_BYTES = 2 ** 16;
/** Rows of one block at most, and cells unless one row has more. */
const BLOCK_ROWS = 4096;
const BLOCK_CELLS = 2 ** 18;

interface Table {
  readonly delimiter: string;
  readonly header: Header;
  /** Lines before the first one of the table, and before its first row. */
  readonly skip: number;
  readonly skipToRows: number;
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
  const firstRow = sample[header.records];
  const skipToRows = firstRow === undefined ? Infinity : firstRow.line - 1;
  return {
    format,
    file: input.name,
    columns: header.columns.map((name) => ({ name, kind: "cells" as const })),
    ...(classes === undefined || rows === undefined ? {} : { classes, rows }),
    blocks: (readOptions) => readBlocks(input, { delimiter, header, skip, skipToRows }, readOptions),
    close: async () => undefined,
  };
}

/** The delimiter and some records at the start of a table. */
async function readSample(input: InputFile, skip: number, options: OpenOptions): Promise<[string, SampleRecord[]]> {
  const file = input.name;
  const sample: SampleRecord[] = [];
  const onRecord = (cells: readonly string[], line: number): void => {
    if (cells.length > MAX_COLUMNS)
      throw lineError(file, line, `${cells.length} cells, at most ${MAX_COLUMNS} are read`, "check the delimiter");
    sample.push({ line, cells: cells.map(cellOf) });
  };
  let delimiter = options.delimiter ?? (options.format === "tsv" ? "\t" : undefined);
  let parser;
  for await (const { bytes, line } of lineChunks(input, skip, { signal: options.signal })) {
    delimiter ??= sniffDelimiter(new TextDecoder().decode(bytes.subarray(0, SNIFFED_BYTES)));
    parser ??= createRecordParser({ file, delimiter, most: SAMPLE_RECORDS, onRecord });
    await parser.write(bytes, line);
    if (sample.length === SAMPLE_RECORDS) return [delimiter, sample];
  }
  await parser?.end();
  return [delimiter ?? ",", sample];
}

const cellOf = (text: string): Cell => (text === "" ? null : text);

async function* readBlocks(input: InputFile, table: Table, options: ReadOptions = {}): AsyncGenerator<RowBlock> {
  const { delimiter, header, skip, skipToRows } = table;
  const file = input.name;
  const collector = createCollector(file, header);
  const parser = createRecordParser({ file, delimiter, onRecord: collector.add });
  let rows = 0;
  const count = (blocks: RowBlock[]): RowBlock[] => {
    for (const block of blocks) rows += block.rows;
    return blocks;
  };
  for await (const { bytes, line } of lineChunks(input, skipToRows, options)) {
    yield* count(collector.take());
    await parser.write(bytes, line);
  }
  await parser.end();
  yield* count(collector.take());
  if (header.rows !== undefined && rows !== header.rows)
    throw lineError(
      file,
      skip + 1,
      `it announces ${header.rows} rows, but there are ${rows}`,
      `get the file again; if the line says something else, leave it out with \`skip: ${skip + 1}\``,
    );
}

/** Puts records into blocks of columns. */
function createCollector(file: string, header: Header) {
  const width = header.columns.length;
  const blockRows = Math.max(1, Math.min(BLOCK_ROWS, Math.floor(BLOCK_CELLS / width)));
  const noColumns = (): Cell[][] => Array.from({ length: width }, () => []);
  let columns = noColumns();
  let lines: number[] = [];
  let blocks: RowBlock[] = [];
  const endBlock = (): void => {
    if (lines.length > 0) blocks.push(rowBlock(file, header, { columns, lines }));
    columns = noColumns();
    lines = [];
  };
  return {
    add(cells: readonly string[], line: number): void {
      if (cells.length !== width)
        throw lineError(
          file,
          line,
          `expected ${width} cells, found ${cells.length}`,
          "check for missing delimiters or quotes",
        );
      for (let i = 0; i < width; i++) columns[i]!.push(cellOf(cells[i]!));
      lines.push(line);
      if (lines.length === blockRows) endBlock();
    },
    /** The blocks since the last call. */
    take(): RowBlock[] {
      endBlock();
      const taken = blocks;
      blocks = [];
      return taken;
    },
  };
}

function rowBlock(
  file: string,
  { columns, classes }: Header,
  { columns: values, lines }: { columns: readonly Cell[][]; lines: readonly number[] },
): RowBlock {
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
      const cells = values[index]!;
      const isLabel = classes !== undefined && index === columns.length - 1;
      return { kind: "cells", name, values: isLabel ? labels(cells, classes) : cells };
    }),
    locate: (row) => `line ${lines[row]}`,
  };
}
