import { CsvError, parse } from "csv-parse";
import { parse as parseWhole } from "csv-parse/sync";
import { countLines, lineError, MAX_RECORD_BYTES, tooLong } from "./text-chunks.ts";

export interface RecordOptions {
  readonly file: string;
  /** One character. */
  readonly delimiter: string;
  /** Records to find; all unless given. */
  readonly most?: number;
  /** Takes a record and the line where it begins. Empty cells are "". */
  readonly onRecord: (cells: readonly string[], line: number) => void;
}

/** Cuts the bytes of a table into records. */
export interface RecordParser {
  /**
   * @param bytes the next whole lines of the file, valid UTF-8 without NUL
   * @param line number of the first one
   * @throws StorageError `BadFile`, `TooLarge` with the line; what `onRecord` throws
   */
  write(bytes: Uint8Array, line: number): Promise<void>;
  /** After the last lines. @throws as `write` */
  end(): Promise<void>;
}

const QUOTE_HINT = "write quotes inside of a quoted cell twice, and close each quoted cell";
const RULES = {
  // A carriage return by itself so that it is found, and refused.
  record_delimiter: ["\r\n", "\n", "\r"],
  relax_column_count: true,
  relax_quotes: true,
  skip_empty_lines: true,
};
const QUOTE = 34;
const NEWLINE = 10;
const RETURN = 13;

/**
 * Records and cells as RFC 4180 has them, cut by csv-parse. Lines end in LF or CRLF, empty ones are left out, a quote
 * inside of a cell without quotes is a character like others. csv-parse tells where each record ends; its bytes tell its
 * line, and what csv-parse lets pass: text behind a quoted cell, carriage returns that end no line.
 */
export function createRecordParser({ file, delimiter, most, onRecord }: RecordOptions): RecordParser {
  /** Bytes that belong to no record yet. */
  let open: Buffer = Buffer.alloc(0);
  /** Line at which they begin, once it is known. */
  let openLine = 0;
  let bytesBefore = 0;

  const refuseReturn = (at: number): never => {
    const line = openLine + countLines(open.subarray(0, at));
    const hint = "save the file with LF or CRLF as ends of lines";
    throw lineError(file, line, "a carriage return that does not end the line", hint);
  };
  const take = (cells: readonly string[], end: number): null => {
    const raw = open.subarray(0, end - bytesBefore);
    const empty = lineEnds(raw);
    const lone = loneReturn(raw.subarray(0, empty));
    if (lone !== undefined) refuseReturn(lone);
    if (raw.at(-1) === RETURN && raw.length < open.length) refuseReturn(raw.length - 1);
    const behind = cells.some(startsWithQuote) ? badlyQuoted(raw, empty, delimiter) : undefined;
    if (behind !== undefined) {
      const line = openLine + countLines(raw.subarray(0, behind));
      throw lineError(file, line, "something stands between the end of a quoted cell and the delimiter", QUOTE_HINT);
    }
    onRecord(cells, openLine + countLines(raw.subarray(0, empty)));
    openLine += countLines(raw);
    open = open.subarray(raw.length);
    bytesBefore = end;
    return null;
  };
  const parser = parse({
    delimiter,
    ...RULES,
    ...(most === undefined ? {} : { to: most }),
    on_record: (cells: string[], { bytes }) => take(cells, bytes),
  });
  // Whoever writes hears of it.
  parser.on("error", () => undefined);
  const recordLine = () => openLine + countLines(open.subarray(0, lineEnds(open)));
  const settle = (work: (done: (error?: Error | null) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      work((error) => {
        if (!error) resolve();
        else if (!(error instanceof CsvError)) reject(error);
        else if (error.code !== "CSV_QUOTE_NOT_CLOSED") reject(lineError(file, recordLine(), error.message));
        else reject(lineError(file, recordLine(), "a quote is opened and never closed", QUOTE_HINT));
      });
    });
  return {
    async write(bytes, line) {
      openLine ||= line;
      open = Buffer.concat([open, bytes]);
      await settle((done) => parser.write(bytes, done));
      if (open.length > MAX_RECORD_BYTES) throw tooLong(file, recordLine());
    },
    async end() {
      await settle((done) => parser.end(done));
      const lone = loneReturn(open);
      // The last line may end in one.
      if (lone !== undefined && lone < open.length - 1) refuseReturn(lone);
    },
  };
}

const startsWithQuote = (cell: string): boolean => cell.charCodeAt(0) === QUOTE;

/** Length of the empty lines at the start. */
function lineEnds(bytes: Uint8Array): number {
  let at = 0;
  while (bytes[at] === NEWLINE || bytes[at] === RETURN) at++;
  return at;
}

/** Where a carriage return stands among ends of lines that is not followed by a line feed. */
function loneReturn(ends: Uint8Array): number | undefined {
  const at = ends.findIndex((byte, i) => byte === RETURN && ends[i + 1] !== NEWLINE);
  return at < 0 ? undefined : at;
}

/**
 * Whether the cells that begin with a quote stand in quotes as a whole, so that these and the doubled ones in the cell are
 * all that was written more. Text behind the closing quote makes csv-parse keep both as they are.
 * @param start where the first cell begins
 * @returns the end of the first one that does not
 */
function badlyQuoted(raw: Buffer, start: number, delimiter: string): number | undefined {
  const separator = Buffer.byteLength(delimiter);
  let [from, bad]: [number, number | undefined] = [0, undefined];
  parseWhole(raw.subarray(start), {
    ...RULES,
    delimiter,
    cast: (cell, { bytes }) => {
      if (startsWithQuote(cell) && bytes - from !== Buffer.byteLength(cell) + countQuotes(cell) + 2)
        bad ??= start + bytes;
      from = bytes + separator;
      return null;
    },
  });
  return bad;
}

function countQuotes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1)) count++;
  return count;
}
