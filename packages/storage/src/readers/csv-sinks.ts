import type { RecordBlock, Sink } from "./csv-scanner.ts";
import type { Cell } from "./reader.ts";
import { lineError } from "./text-chunks.ts";

/** Rows of one block at most, and cells unless one row has more. */
const BLOCK_ROWS = 4096;
const BLOCK_CELLS = 2 ** 18;
const MAX_COLUMNS = 65_536;

export interface BlockSinkOptions {
  readonly file: string;
  /** Cells that each record must have. */
  readonly width: number;
  /** Records at the start to leave out, whatever they have. */
  readonly skip: number;
}

/** Collects records in blocks of columns. */
export function createBlockSink({ file, width, skip }: BlockSinkOptions): Sink {
  const noColumns = (): Cell[][] => Array.from({ length: width }, () => []);
  const blockRows = Math.max(1, Math.min(BLOCK_ROWS, Math.floor(BLOCK_CELLS / width)));
  let skipped = 0;
  let columns = noColumns();
  let lines: number[] = [];
  let blocks: RecordBlock[] = [];
  let column = 0;
  const endBlock = (): void => {
    if (lines.length > 0) blocks.push({ columns, lines });
    columns = noColumns();
    lines = [];
  };
  return {
    put(cell) {
      if (skipped < skip) return;
      // Too many cells are counted for the error at the end of the record.
      if (column < width) columns[column]!.push(cell);
      column++;
    },
    end(line) {
      if (skipped < skip) {
        skipped++;
        return;
      }
      if (column !== width)
        throw lineError(
          file,
          line,
          `expected ${width} cells, found ${column}`,
          "check for missing delimiters or quotes",
        );
      lines.push(line);
      column = 0;
      if (lines.length === blockRows) endBlock();
    },
    take() {
      if (column > 0) for (const values of columns) values.length = lines.length;
      column = 0;
      endBlock();
      const taken = blocks;
      blocks = [];
      return taken;
    },
  };
}

/** A record by itself. */
export interface SampleRecord {
  readonly line: number;
  readonly cells: readonly Cell[];
}

/** Collects the first records, each with as many cells as it has. */
export function createSampleSink(file: string, records: SampleRecord[]): Sink {
  let cells: Cell[] = [];
  return {
    put(cell) {
      cells.push(cell);
    },
    end(line) {
      if (cells.length > MAX_COLUMNS)
        throw lineError(file, line, `${cells.length} cells, at most ${MAX_COLUMNS} are read`, "check the delimiter");
      records.push({ line, cells });
      cells = [];
    },
    take() {
      cells = [];
      return [];
    },
  };
}
