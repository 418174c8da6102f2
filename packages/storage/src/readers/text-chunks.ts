import { isUtf8 } from "node:buffer";
import { StorageError } from "../errors.ts";
import type { InputFile } from "./input.ts";
import type { ReadOptions } from "./reader.ts";

/** Longest line, and longest record of several lines, in bytes: 8 MiB. A record of as many empty cells takes 50 times that. */
export const MAX_RECORD_BYTES = 2 ** 23;
const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 10;

/** Some whole lines of a file; only the last one of the file may lack its end of line. */
export interface TextChunk {
  readonly text: string;
  /** Number of the first line, from 1. */
  readonly line: number;
}

/** The bytes of a {@link TextChunk}, valid UTF-8. */
export interface LineChunk {
  readonly bytes: Uint8Array;
  readonly line: number;
}

/** As {@link lineChunks}, decoded. */
export async function* textChunks(
  input: InputFile,
  skip: number,
  options: ReadOptions = {},
): AsyncGenerator<TextChunk> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for await (const { bytes, line } of lineChunks(input, skip, options)) yield { text: decoder.decode(bytes), line };
}

/**
 * A file of text in pieces of whole lines, most of about 256 KiB, without a byte order mark.
 * @param skip lines at the start to leave out
 * @throws StorageError `BadFile` (no UTF-8, a NUL byte) and `TooLarge` (a line over 8 MiB) with the line; `UnsupportedFile` (UTF-16)
 */
export async function* lineChunks(
  input: InputFile,
  skip: number,
  options: ReadOptions = {},
): AsyncGenerator<LineChunk> {
  refuseUtf16(input);
  let pending: Uint8Array[] = [];
  let length = 0;
  let wholeLines = 0;
  let line = 1;
  const take = function* (end: number): Generator<LineChunk> {
    const joined = Buffer.concat(pending);
    const [bytes, first] = checkLines(joined.subarray(0, end), line, skip, input.name);
    line += countLines(joined.subarray(0, end));
    pending = [joined.subarray(end)];
    length -= end;
    wholeLines = 0;
    if (bytes.length > 0) yield { bytes, line: first };
  };
  for await (const chunk of input.chunks(options)) {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) wholeLines = length + end;
    pending.push(chunk);
    length += chunk.length;
    if (length - wholeLines > MAX_RECORD_BYTES) throw tooLong(input.name, line + countLines(Buffer.concat(pending)));
    if (wholeLines > 0 && length >= CHUNK_BYTES) yield* take(wholeLines);
  }
  yield* take(length);
}

/** An error about a line of a file, the same way everywhere. */
export function lineError(file: string, line: number, problem: string, hint?: string): StorageError {
  return new StorageError("BadFile", `${file}, line ${line}: ${problem}`, hint === undefined ? {} : { hint });
}

/** The error about a line, or a record of several lines, that is too long. */
export function tooLong(file: string, line: number): StorageError {
  return new StorageError("TooLarge", `${file}, line ${line}: longer than ${MAX_RECORD_BYTES} bytes`, {
    hint: "check for a missing quote or missing ends of lines before it",
  });
}

/** @returns what is left without skipped lines, and the number of its first line */
function checkLines(bytes: Uint8Array, line: number, skip: number, file: string): [Uint8Array, number] {
  let rest = bytes;
  let first = line;
  if (line === 1 && rest[0] === 0xef && rest[1] === 0xbb && rest[2] === 0xbf) rest = rest.subarray(3);
  for (; first <= skip && rest.length > 0; first++) rest = afterLine(rest);
  const bad = (found: (text: Uint8Array) => boolean, problem: string, hint: string) => {
    const at = first + indexOfLine(rest, found);
    return lineError(file, at, problem, hint);
  };
  if (!isUtf8(rest))
    throw bad((text) => !isUtf8(text), "not UTF-8", "save the file as UTF-8, for example with `iconv -t UTF-8`");
  if (rest.includes(0))
    throw bad((text) => text.includes(0), "a NUL byte", "this is not a text file, or it was damaged; get it again");
  return [rest, first];
}

function indexOfLine(bytes: Uint8Array, found: (line: Uint8Array) => boolean): number {
  let index = 0;
  for (let rest = bytes; rest.length > 0; index++) {
    const next = afterLine(rest);
    if (found(rest.subarray(0, rest.length - next.length))) return index;
    rest = next;
  }
  return index;
}

function afterLine(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(NEWLINE);
  return end === -1 ? bytes.subarray(bytes.length) : bytes.subarray(end + 1);
}

/** Ends of lines in some bytes. */
export function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

function refuseUtf16({ head, name }: InputFile): void {
  const mark = `${head[0]} ${head[1]}`;
  if (mark === "255 254" || mark === "254 255")
    throw new StorageError("UnsupportedFile", `${name} is UTF-16 text`, {
      hint: "save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
    });
}
