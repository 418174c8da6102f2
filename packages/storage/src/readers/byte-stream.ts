import { StorageError } from "../errors.ts";

/** Bytes that come in pieces, taken in lengths that the caller wants. Holds one piece and what was asked for. */
export class ByteStream {
  /** The file or entry, for errors. */
  readonly name: string;
  readonly #pieces: AsyncGenerator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();
  #position = 0;

  constructor(name: string, pieces: AsyncGenerator<Uint8Array>) {
    this.name = name;
    this.#pieces = pieces;
  }

  /** Bytes that were taken. */
  get position(): number {
    return this.#position;
  }

  /**
   * Exactly `length` bytes, in memory of their own.
   * @param what they are, for the error
   * @throws StorageError `TruncatedFile`
   */
  async take(length: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      if (!(await this.#fill()))
        throw new StorageError(
          "TruncatedFile",
          `${this.name}: the file ends at byte ${this.#position}, within ${what} (${length - filled} bytes are missing)`,
          { hint: "the file is incomplete; get it again" },
        );
      const part = this.#piece.subarray(0, length - filled);
      bytes.set(part, filled);
      this.#piece = this.#piece.subarray(part.length);
      filled += part.length;
      this.#position += part.length;
    }
    return bytes;
  }

  /** Reads to the end, so that checksums are checked. @throws StorageError `BadFile` if bytes are left */
  async end(): Promise<void> {
    if (await this.#fill())
      throw new StorageError("BadFile", `${this.name}: bytes follow after the data, at byte ${this.#position}`, {
        hint: "the file is longer than its header says",
      });
  }

  async close(): Promise<void> {
    await this.#pieces.return(undefined);
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return false;
      this.#piece = next.value;
    }
    return true;
  }
}
