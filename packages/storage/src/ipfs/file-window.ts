import type { FileHandle } from "node:fs/promises";
import { StorageError } from "../errors.ts";

const AHEAD_BYTES = 1024 * 1024;

/** Reads a file from the front, a bounded part at a time. */
export class FileWindow {
  readonly name: string;
  /** Offset of the next byte, and of the end. */
  at = 0;
  end: number;
  readonly #handle: FileHandle;
  #held = new Uint8Array();
  #heldFrom = 0;

  constructor(handle: FileHandle, name: string, end: number) {
    this.#handle = handle;
    this.name = name;
    this.end = end;
  }

  /** From here on only this part is read. @throws StorageError `TruncatedFile` */
  narrow(from: number, size: number): void {
    if (from + size > this.end) throw this.#truncated(this.at, "its content");
    this.at = from;
    this.end = from + size;
  }

  /** The next bytes; valid until the next call. @throws StorageError `TruncatedFile` */
  async take(length: number, what: string): Promise<Uint8Array> {
    const at = this.at;
    if (at + length > this.end) throw this.#truncated(at, what);
    const from = at - this.#heldFrom;
    if (from < 0 || from + length > this.#held.length) await this.#fill(at, length, what);
    this.at = at + length;
    return this.#held.subarray(at - this.#heldFrom, at - this.#heldFrom + length);
  }

  /** A number of at most 8 bytes (LEB128). @throws StorageError `TruncatedFile`, `BadFile` */
  async varint(): Promise<number> {
    const at = this.at;
    let value = 0;
    for (let i = 0; i < 8; i++) {
      const [byte] = (await this.take(1, "a length")) as unknown as [number];
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw this.bad(at, "a length that is no number");
  }

  bad(at: number, why: string, cause?: unknown): StorageError {
    return new StorageError("BadFile", `${this.name}, byte ${at}: ${why}`, {
      cause,
      hint: "is it a CAR file, and complete? Write or download it again",
    });
  }

  async #fill(at: number, length: number, what: string): Promise<void> {
    const held = new Uint8Array(Math.min(Math.max(length, AHEAD_BYTES), this.end - at));
    let filled = 0;
    while (filled < held.length) {
      const { bytesRead } = await this.#handle.read(held, filled, held.length - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (filled < length) throw this.#truncated(at, what);
    this.#held = held.subarray(0, filled);
    this.#heldFrom = at;
  }

  #truncated(at: number, what: string): StorageError {
    return new StorageError("TruncatedFile", `${this.name}, byte ${at}: it ends in the middle of ${what}`, {
      hint: "the download or the disk was cut short: get the file again",
    });
  }
}
