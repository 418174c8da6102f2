import fs from "node:fs/promises";
import path from "node:path";
import type { DocumentStore } from "../discovery/document-store.ts";

/** A document in a file of its own, readable by its owner alone. @throws what the file system says */
export function fileStore(file: string): DocumentStore {
  return {
    async read() {
      try {
        return new Uint8Array(await fs.readFile(file));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    async write(bytes) {
      const temporary = `${file}.${process.pid}.tmp`;
      try {
        await fs.mkdir(path.dirname(file), { recursive: true });
        const handle = await fs.open(temporary, "w", 0o600);
        try {
          await handle.writeFile(bytes);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await fs.rename(temporary, file);
      } catch (error) {
        await fs.rm(temporary, { force: true }).catch(() => undefined);
        throw error;
      }
    },
    async setAside() {
      const aside = `${file}.damaged`;
      await fs.rename(file, aside);
      return aside;
    },
  };
}
