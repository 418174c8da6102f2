import fs from "node:fs/promises";
import path from "node:path";
import { diskError, syncFolder } from "../remote/durable-file.ts";

/**
 * Writes a file piece by piece; it appears under its name when it is complete, and not at all when `fill` fails.
 * @throws StorageError `DiskFull`, `StoreFailed`; what `fill` throws
 */
export async function writeWhole(
  file: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const temporary = `${file}.${process.pid}.part`;
  const handle = await fs.open(temporary, "w").catch((cause: unknown) => {
    throw diskError(cause, file);
  });
  try {
    try {
      await fill(async (bytes) => {
        await handle.writeFile(bytes).catch((cause: unknown) => {
          throw diskError(cause, file);
        });
      });
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file).catch((cause: unknown) => {
      throw diskError(cause, file);
    });
    await syncFolder(path.dirname(file));
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
}
