import path from "node:path";
import { StorageError } from "../errors.ts";
import { createArrayReader, rowsOf, type ArrayPart } from "./arrays.ts";
import { ByteStream } from "./byte-stream.ts";
import { elementsOf, type ElementType, type NumberType } from "./elements.ts";
import type { InputFile, OpenOptions } from "./input.ts";
import type { DataReader } from "./reader.ts";

/** http://yann.lecun.com/exdb/mnist/: the third byte of the file. */
const TYPES: Readonly<Record<number, readonly [NumberType, number]>> = {
  0x08: ["uint8", 1],
  0x09: ["int8", 1],
  0x0b: ["int16", 2],
  0x0c: ["int32", 4],
  0x0d: ["float32", 4],
  0x0e: ["float64", 8],
};
const MAX_DIMENSIONS = 8;

export const beginsAsIdx = (head: Uint8Array): boolean =>
  head[0] === 0 && head[1] === 0 && TYPES[head[2] ?? 0] !== undefined && head[3]! >= 1 && head[3]! <= MAX_DIMENSIONS;

/**
 * Opens an IDX file, the format of the MNIST family, plain or compressed. Its first dimension are the rows of one
 * column: `label` for one dimension, `image` for images of bytes, else `values`.
 * @throws StorageError `BadFile`, `TruncatedFile`, `TooLarge`
 */
export async function openIdx(input: InputFile, options: OpenOptions = {}): Promise<DataReader> {
  const { part, rows } = await openPart(input, options.signal);
  return createArrayReader({ format: "idx", file: input.name, fileBytes: input.size, rows, parts: [part] });
}

/** The file that should hold the labels of `train-images-idx3-ubyte.gz`, or undefined for another kind of name. */
export function labelsBeside(file: string): string | undefined {
  const name = path.basename(file);
  if (!/images([-.])idx\d/.test(name)) return undefined;
  return path.join(path.dirname(file), name.replace(/images([-.])idx\d/, "labels$1idx1"));
}

async function openPart(input: InputFile, signal?: AbortSignal): Promise<{ part: ArrayPart; rows: number }> {
  const stream = new ByteStream(input.name, input.chunks({ signal }));
  const header = await readHeader(stream).finally(() => stream.close());
  const [rows, shape] = rowsOf(input.name, header.shape, header.element.bytes);
  const expected = stream.position + elementsOf(header.shape) * header.element.bytes;
  if (input.packing === undefined && input.size < expected)
    throw new StorageError("TruncatedFile", `${input.name}: expected ${expected} bytes, found ${input.size}`, {
      hint: "the file is incomplete; get it again",
    });
  const open = async (signal: AbortSignal | undefined) => {
    const stream = new ByteStream(input.name, input.chunks({ signal }));
    await readHeader(stream);
    return stream;
  };
  const isImage = shape.length >= 2 && header.element.bytes === 1;
  const name = isImage ? "image" : shape.length === 0 ? "label" : "values";
  return { part: { name, where: input.name, element: header.element, shape, open }, rows };
}

async function readHeader(stream: ByteStream): Promise<{ shape: number[]; element: ElementType }> {
  const magic = await stream.take(4, "the header");
  if (!beginsAsIdx(magic)) {
    const found = [...magic].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new StorageError("BadFile", `${stream.name}: not an IDX file: it begins with ${found}`, {
      hint: `expected 00 00, a type (08 09 0b 0c 0d 0e) and 1 to ${MAX_DIMENSIONS} dimensions`,
    });
  }
  const [type, bytes] = TYPES[magic[2]!]!;
  const view = new DataView((await stream.take(4 * magic[3]!, "the dimensions")).buffer);
  const shape = Array.from({ length: magic[3]! }, (_, i) => view.getUint32(4 * i));
  return { shape, element: { kind: "number", type, bytes, littleEndian: false } };
}
