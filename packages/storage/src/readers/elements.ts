import { StorageError } from "../errors.ts";
import type { Cell, Column, ColumnInfo, NumericArray } from "./reader.ts";

/** Numbers as files of arrays store them, by NumPy's names. */
export type NumberType =
  | "bool"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "float16"
  | "float32"
  | "float64";

/** How one element is stored; `bytes` is its size. `text`: padded with zeros, UTF-32 or bytes. */
export type ElementType = { readonly bytes: number; readonly littleEndian: boolean } & (
  | { readonly kind: "number"; readonly type: NumberType }
  | { readonly kind: "text"; readonly encoding: "utf-32" | "utf-8" }
);

/** One column of an array: rows of `shape`. */
export interface ElementLayout {
  readonly name: string;
  readonly shape: readonly number[];
  readonly element: ElementType;
}

export const elementsOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

export const rowBytesOf = ({ shape, element }: ElementLayout): number => elementsOf(shape) * element.bytes;

export const columnInfoOf = ({ name, shape, element }: ElementLayout): ColumnInfo =>
  element.kind === "text" ? { name, kind: "cells" } : { name, kind: "tensor", shape, dtype: element.type };

/**
 * @param bytes of whole rows; their memory is reused where the numbers are stored as this machine does
 * @param locate an element of `bytes` (from 0), for errors
 * @throws StorageError `BadFile` for integers beyond 2^53 and texts that are none
 */
export function decodeColumn(
  layout: ElementLayout,
  bytes: Uint8Array<ArrayBuffer>,
  locate: (element: number) => string,
): Column {
  const { name, shape, element } = layout;
  if (element.kind === "text") return { kind: "cells", name, values: texts(bytes, element, locate) };
  if (!element.littleEndian) swap(bytes, element.bytes);
  return { kind: "tensor", name, shape, values: numbers(element.type, bytes.buffer, locate) };
}

function swap(bytes: Uint8Array<ArrayBuffer>, size: number): void {
  const buffer = Buffer.from(bytes.buffer);
  if (size === 2) buffer.swap16();
  if (size === 4) buffer.swap32();
  if (size === 8) buffer.swap64();
}

/** Machines that store the high byte first are not supported by Node 24 on any platform that SkyNet runs on. */
function numbers(type: NumberType, buffer: ArrayBuffer, locate: (element: number) => string): NumericArray {
  switch (type) {
    case "bool":
      return new Uint8Array(buffer).map((value) => (value === 0 ? 0 : 1));
    case "int8":
      return new Int8Array(buffer);
    case "uint8":
      return new Uint8Array(buffer);
    case "int16":
      return new Int16Array(buffer);
    case "uint16":
      return new Uint16Array(buffer);
    case "int32":
      return new Int32Array(buffer);
    case "uint32":
      return new Uint32Array(buffer);
    case "float16":
      return Float32Array.from(new Float16Array(buffer));
    case "float32":
      return new Float32Array(buffer);
    case "float64":
      return new Float64Array(buffer);
    default:
      return wholeNumbers(type, buffer, locate);
  }
}

/** 64-bit integers as doubles, which hold them exactly up to 2^53. */
function wholeNumbers(
  type: "int64" | "uint64",
  buffer: ArrayBuffer,
  locate: (element: number) => string,
): Float64Array {
  const low = new Uint32Array(buffer);
  const high = type === "int64" ? new Int32Array(buffer) : low;
  const values = new Float64Array(buffer.byteLength / 8);
  for (let i = 0; i < values.length; i++) {
    const value = high[2 * i + 1]! * 2 ** 32 + low[2 * i]!;
    if (!Number.isSafeInteger(value))
      throw new StorageError("BadFile", `${locate(i)}: an integer of about ${value} is too large to be read exactly`, {
        hint: "integers up to 2^53 - 1 are read; save the column as float64, or as text",
      });
    values[i] = value;
  }
  return values;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function texts(
  bytes: Uint8Array<ArrayBuffer>,
  element: ElementType & { kind: "text" },
  locate: (element: number) => string,
): Cell[] {
  const count = element.bytes === 0 ? 0 : bytes.length / element.bytes;
  return Array.from({ length: count }, (_, i) => {
    const part = bytes.subarray(i * element.bytes, (i + 1) * element.bytes);
    try {
      return element.encoding === "utf-8" ? utf8Text(part) : utf32Text(part, element.littleEndian);
    } catch (cause) {
      throw new StorageError("BadFile", `${locate(i)}: the text is not valid ${element.encoding.toUpperCase()}`, {
        cause,
        hint: "save the array with dtype str",
      });
    }
  });
}

function utf8Text(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return utf8.decode(bytes.subarray(0, end));
}

/** @throws RangeError for a number that is no character */
function utf32Text(bytes: Uint8Array, littleEndian: boolean): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length;
  while (end > 0 && view.getUint32(end - 4) === 0) end -= 4;
  let text = "";
  for (let at = 0; at < end; at += 4) text += String.fromCodePoint(view.getUint32(at, littleEndian));
  return text;
}
