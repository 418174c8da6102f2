import fs from "node:fs/promises";
import { storeError } from "../errors.ts";

const BUFFER_BYTES = 256 * 1024;

/** Writes many small pieces to the end of a new file, which only its owner may read. */
export interface Appender {
  add(bytes: Uint8Array): void;
  addByte(byte: number): void;
  /** To be called now and then: what was added is in memory until then. */
  flushIfFull(): Promise<void>;
  /** @returns bytes of the file */
  close(options?: { sync?: boolean }): Promise<number>;
}

/** @throws StorageError `DiskFull`, `StoreFailed` */
export async function createAppender(file: string): Promise<Appender> {
  const failed = (cause: unknown) => {
    throw storeError(cause, file);
  };
  const handle = await fs.open(file, "w", 0o600).catch(failed);
  let buffer = Buffer.alloc(BUFFER_BYTES);
  let used = 0;
  let total = 0;
  const room = (bytes: number) => {
    if (used + bytes <= buffer.length) return;
    const larger = Buffer.alloc(Math.max(2 * buffer.length, used + bytes));
    buffer.copy(larger, 0, 0, used);
    buffer = larger;
  };
  const flush = async () => {
    if (used === 0) return;
    await handle.writeFile(buffer.subarray(0, used)).catch(failed);
    used = 0;
    if (buffer.length > BUFFER_BYTES) buffer = Buffer.alloc(BUFFER_BYTES);
  };
  return {
    add(bytes) {
      room(bytes.length);
      buffer.set(bytes, used);
      used += bytes.length;
      total += bytes.length;
    },
    addByte(byte) {
      room(1);
      buffer[used++] = byte;
      total++;
    },
    async flushIfFull() {
      if (used >= BUFFER_BYTES / 2) await flush();
    },
    async close({ sync = false } = {}) {
      await flush();
      if (sync) await handle.sync().catch(failed);
      await handle.close();
      return total;
    },
  };
}
