import { StorageError } from "../errors.ts";
import { createArrayReader, rowsOf } from "./arrays.ts";
import { ByteStream } from "./byte-stream.ts";
import { elementsOf } from "./elements.ts";
import type { InputFile, OpenOptions } from "./input.ts";
import { readNpyHeader } from "./npy-header.ts";
import type { DataReader } from "./reader.ts";

export const beginsAsNpy = (head: Uint8Array): boolean =>
  Buffer.from(head.subarray(0, 6)).toString("latin1") === "\x93NUMPY";

/**
 * Opens an array of NumPy, plain or compressed, in C order: its first dimension are the rows of one column, `values`.
 * Pickled objects are refused.
 * @throws StorageError `BadFile`, `TruncatedFile`, `UnsupportedFile`, `TooLarge`
 */
export async function openNpy(input: InputFile, { signal }: OpenOptions = {}): Promise<DataReader> {
  const openStream = async (signal: AbortSignal | undefined) => {
    const stream = new ByteStream(input.name, input.chunks({ signal }));
    try {
      return { stream, header: await readNpyHeader(stream) };
    } catch (error) {
      await stream.close();
      throw error;
    }
  };
  const { stream, header } = await openStream(signal);
  await stream.close();
  const [rows, shape] = rowsOf(input.name, header.shape, header.element.bytes);
  if (input.packing === undefined) {
    const expected = stream.position + elementsOf(header.shape) * header.element.bytes;
    if (input.size < expected)
      throw new StorageError("TruncatedFile", `${input.name}: expected ${expected} bytes, found ${input.size}`, {
        hint: "the file is incomplete; get it again",
      });
  }
  checkTexts(input.name, header.element.kind, shape);
  const open = async (signal: AbortSignal | undefined) => (await openStream(signal)).stream;
  const part = { name: "values", where: input.name, element: header.element, shape, open };
  return createArrayReader({ format: "npy", file: input.name, fileBytes: input.size, rows, parts: [part] });
}

/** @throws StorageError `UnsupportedFile` for more than one text in a row */
export function checkTexts(where: string, kind: "number" | "text", shape: readonly number[]): void {
  if (kind === "text" && elementsOf(shape) !== 1)
    throw new StorageError("UnsupportedFile", `${where}: a row of ${elementsOf(shape)} texts; one is read`, {
      hint: "save each column of texts as an array of its own",
    });
}
