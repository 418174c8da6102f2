/** What is wrong with a Parquet file, before the place in it is known. */
export class ParquetProblem extends Error {
  /** Valid, but more than is read here. */
  readonly tooLarge: boolean;

  constructor(message: string, { tooLarge = false }: { tooLarge?: boolean } = {}) {
    super(message);
    this.tooLarge = tooLarge;
  }
}

const MAX_DEPTH = 16;
const STOP = 0;
const [TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12];
/** Bytes of a number of 64 bits at most. */
const MAX_VARINT = 10;

/**
 * Walks a structure of Thrift's compact protocol as Parquet has it, so that the library that parses it afterwards meets
 * neither endless numbers nor endless depth nor more than `maxElements` values.
 * @returns bytes that it takes @throws ParquetProblem
 */
export function checkThrift(bytes: Uint8Array, maxElements: number): number {
  let at = 0;
  let elements = 0;
  const byte = (): number => {
    if (at >= bytes.length) throw new ParquetProblem("its structure is cut off");
    return bytes[at++]!;
  };
  const varint = (): number => {
    let value = 0;
    for (let count = 0; count < MAX_VARINT; count++) {
      const next = byte();
      value += (next & 0x7f) * 2 ** (7 * count);
      if (next < 0x80) return value;
    }
    throw new ParquetProblem("a number in its structure does not end");
  };
  const skip = (length: number): void => {
    at += length;
    if (at > bytes.length) throw new ParquetProblem("its structure is cut off");
  };
  const value = (type: number, depth: number): void => {
    if (++elements > maxElements) throw new ParquetProblem("its structure has too many elements", { tooLarge: true });
    if (type === BYTE) skip(1);
    else if (type === I16 || type === I32 || type === I64) varint();
    else if (type === DOUBLE) skip(8);
    else if (type === BINARY) skip(varint());
    else if (type === LIST) list(depth + 1);
    else if (type === STRUCT) struct(depth + 1);
    else if (type !== TRUE && type !== FALSE) throw new ParquetProblem(`its structure has the unknown type ${type}`);
  };
  const list = (depth: number): void => {
    const head = byte();
    const type = head & 0x0f;
    const size = head >> 4 === 15 ? varint() : head >> 4;
    for (let index = 0; index < size; index++) value(type === TRUE || type === FALSE ? BYTE! : type, depth);
  };
  const struct = (depth: number): void => {
    if (depth > MAX_DEPTH) throw new ParquetProblem("its structure is too deep");
    for (let head = byte(); (head & 0x0f) !== STOP; head = byte()) {
      if (head >> 4 === 0) varint();
      value(head & 0x0f, depth);
    }
  };
  struct(0);
  return at;
}

/** Writers may fill up the last group of a run. */
const RUN_SLACK = 1024;

/**
 * Checks that runs of repeated and packed values (RLE hybrid) hold about as many values as they should: a few bytes may
 * announce billions.
 * @param atLeast values that there must be, so that nobody looks for them behind the runs
 * @throws ParquetProblem
 */
export function checkRuns(bytes: Uint8Array, bitWidth: number, values: number, atLeast = 0): void {
  if (bitWidth > 32) throw new ParquetProblem(`values of ${bitWidth} bits`);
  let at = 0;
  let seen = 0;
  while (seen < values && at < bytes.length) {
    let head = 0;
    for (let shift = 0; ; shift += 7) {
      if (shift > 28 || at >= bytes.length) throw new ParquetProblem("a run of values is malformed");
      const byte = bytes[at++]!;
      head += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const packed = head % 2 === 1;
    const count = Math.floor(head / 2) * (packed ? 8 : 1);
    if (count > values - seen + RUN_SLACK) throw new ParquetProblem("a run has more values than its page");
    at += packed ? (count / 8) * bitWidth : Math.ceil(bitWidth / 8);
    seen += count;
  }
  if (seen < atLeast) throw new ParquetProblem("a page has fewer levels than values");
}
