import type { Cell } from "./reader.ts";
import { lineError, MAX_RECORD_BYTES, tooLong } from "./text-chunks.ts";

/** Some records of a file, column by column. */
export interface RecordBlock {
  readonly columns: Cell[][];
  /** Where each record begins, from 1. */
  readonly lines: number[];
}

export interface ScanOptions {
  readonly file: string;
  /** One character. */
  readonly delimiter: string;
}

/** Takes what a scanner finds. */
export interface Sink {
  put(cell: Cell): void;
  /** Ends the record that begins at a line. */
  end(line: number): void;
  /** The blocks since the last call. Forgets a record that has not ended: its cells come again. */
  take(): RecordBlock[];
}

export interface Scanner {
  /**
   * @param text the next whole lines of the file
   * @param line number of the first one
   * @throws StorageError `BadFile`, `TooLarge` with the line
   */
  scan(text: string, line: number): RecordBlock[];
  /** After the last lines. @throws StorageError `BadFile` for quotes that are never closed, with the line */
  finish(): RecordBlock[];
}

const QUOTE = 34;
const NEWLINE = 10;
const RETURN = 13;
const QUOTE_HINT = "write quotes inside of a quoted cell twice, and close each quoted cell";

/**
 * Cuts text into records and cells as RFC 4180 says: cells in quotes may hold delimiters, ends of lines and doubled
 * quotes. Lines end in LF or CRLF, empty ones are left out, an empty cell is null, a quote inside of a cell without
 * quotes is a character like others. Own code, since it is 1.6 times as fast as the quickest library (it builds columns
 * at once, never rows) and names the line of every error.
 */
export function createScanner({ file, delimiter }: ScanOptions, sink: Sink): Scanner {
  const separator = delimiter.charCodeAt(0);
  /** From the start of a record whose quotes are not closed yet. */
  let open = "";
  let openLine = 1;
  /** Scanning such a record again with every few lines would take quadratic time. */
  let scanFrom = 0;

  const scanAll = (text: string, firstLine: number, last: boolean): RecordBlock[] => {
    open = "";
    scanFrom = 0;
    let line = firstLine;
    let recordLine = line;
    let recordAt = 0;
    let at = 0;
    while (at < text.length) {
      if (at === recordAt && isEmptyLine(text, at)) {
        at = recordAt = text.indexOf("\n", at) + 1 || text.length;
        recordLine = ++line;
        continue;
      }
      let end: number;
      const quoted = text.charCodeAt(at) === QUOTE;
      if (quoted) {
        end = closingQuote(text, at + 1);
        if (end === -1) break;
        const raw = text.slice(at + 1, end++);
        sink.put(raw === "" ? null : raw.replaceAll('""', '"'));
        line += countNewlines(raw);
      } else {
        end = endOfCell(text, at, separator);
        sink.put(end === at ? null : text.slice(at, end));
      }
      if (text.charCodeAt(end) === separator) {
        at = end + 1;
        if (at < text.length) continue;
        sink.put(null);
      } else {
        if (text.charCodeAt(end) === RETURN) end++;
        if (end < text.length && text.charCodeAt(end) !== NEWLINE) throw misplaced(file, line, quoted);
        at = end + 1;
      }
      sink.end(recordLine);
      recordAt = at;
      recordLine = ++line;
    }
    if (at < text.length) {
      if (last) throw lineError(file, line, "a quote is opened and never closed", QUOTE_HINT);
      open = text.slice(recordAt);
      if (open.length > MAX_RECORD_BYTES) throw tooLong(file, recordLine);
      openLine = recordLine;
      scanFrom = Math.min(2 * open.length, MAX_RECORD_BYTES);
    }
    return sink.take();
  };
  return {
    scan(text, line) {
      if (open === "") return scanAll(text, line, false);
      open += text;
      return open.length < scanFrom ? [] : scanAll(open, openLine, false);
    },
    finish: () => (open === "" ? [] : scanAll(open, openLine, true)),
  };
}

/** Where a cell without quotes ends: at a delimiter, the end of its line, or that of the text. */
function endOfCell(text: string, from: number, separator: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === separator || code === NEWLINE || code === RETURN) break;
  }
  return at;
}

/** @returns where the quote stands, -1 without one */
function closingQuote(text: string, from: number): number {
  let at = text.indexOf('"', from);
  while (at !== -1 && text.charCodeAt(at + 1) === QUOTE) at = text.indexOf('"', at + 2);
  return at;
}

function isEmptyLine(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === NEWLINE || (code === RETURN && (at + 1 === text.length || text.charCodeAt(at + 1) === NEWLINE));
}

function countNewlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function misplaced(file: string, line: number, quoted: boolean) {
  return quoted
    ? lineError(file, line, "something stands between the end of a quoted cell and the delimiter", QUOTE_HINT)
    : lineError(
        file,
        line,
        "a carriage return that does not end the line",
        "save the file with LF or CRLF as ends of lines",
      );
}
