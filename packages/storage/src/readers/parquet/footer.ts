import type { FileHandle } from "node:fs/promises";
import { parquetMetadata, type FileMetaData } from "hyparquet";
import { checkThrift, ParquetProblem } from "./guard.ts";

/** Bytes of a footer at most, and values in it: about 70,000 column chunks. */
const MAX_FOOTER_BYTES = 2 ** 24;
const MAX_FOOTER_ELEMENTS = 2 ** 21;

/** Reads what a file says about itself at its end. @throws ParquetProblem, errors of the library and the disk */
export async function readFooter(handle: FileHandle, size: number): Promise<FileMetaData> {
  if (size < 12) throw new ParquetProblem("it is too short");
  const tail = await readAt(handle, size - 8, 8);
  const magic = Buffer.from(tail.subarray(4)).toString("latin1");
  if (magic === "PARE") throw new ParquetProblem("unsupported: its footer is encrypted");
  if (magic !== "PAR1") throw new ParquetProblem("it does not end as a Parquet file does; it is incomplete or damaged");
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  if (length > size - 12) throw new ParquetProblem("its footer is longer than the file");
  if (length > MAX_FOOTER_BYTES)
    throw new ParquetProblem(`its footer has ${length} bytes, at most ${MAX_FOOTER_BYTES} are read`, {
      tooLarge: true,
    });
  const footer = await readAt(handle, size - 8 - length, length + 8);
  checkThrift(footer.subarray(0, length), MAX_FOOTER_ELEMENTS);
  return parquetMetadata(footer, { geoparquet: false });
}

/** @throws ParquetProblem if the file ends before */
export async function readAt(handle: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new ParquetProblem("the file ends too early");
    done += bytesRead;
  }
  return bytes;
}
