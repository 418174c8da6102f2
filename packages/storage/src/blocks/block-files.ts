import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs";
import { open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { equalBytes } from "@skynet/protocol";
import { base32upper } from "multiformats/bases/base32";
import * as multihash from "multiformats/hashes/digest";
import { openPrivateFolder, syncFolder } from "../disk/durable-file.ts";
import { isAlive } from "../disk/is-alive.ts";

const SHA2_256 = 0x12;
const EXTENSION = ".data";
const UNFINISHED = "unfinished";

export interface BlockFile {
  /** SHA-256, 32 bytes. */
  readonly digest: Uint8Array;
  /** Bytes. */
  readonly size: number;
}

/** Blocks as files: one for each, named by its multihash, in folders by the end of that name. */
export interface BlockFiles {
  read(digest: Uint8Array): Promise<Uint8Array | undefined>;
  has(digest: Uint8Array): boolean;
  /** Writes a block: at any moment the file is whole or not there, and stays when this has returned. */
  write(digest: Uint8Array, bytes: Uint8Array): Promise<void>;
  remove(digest: Uint8Array): void;
  /** Whether a file is there that does not have its hash. */
  isDamaged(digest: Uint8Array): boolean;
  /** All blocks, in no particular order. */
  all(): AsyncGenerator<BlockFile>;
}

/** Opens or makes the folder, and removes what a process that was killed left unfinished. */
export async function openBlockFiles(directory: string): Promise<BlockFiles> {
  const unfinished = path.join(directory, UNFINISHED);
  fs.mkdirSync(unfinished, { recursive: true, mode: 0o700 });
  // Plaintext may be in it: those of earlier versions were open to all.
  await openPrivateFolder(directory);
  await removeLeftovers(unfinished);
  const place = (digest: Uint8Array) => {
    const name = base32upper.encode(multihash.create(SHA2_256, digest).bytes);
    return {
      folder: path.join(directory, name.slice(-2)),
      file: path.join(directory, name.slice(-2), name + EXTENSION),
    };
  };
  const writer = `${process.pid}-${randomUUID()}`;
  let written = 0;
  return {
    async read(digest) {
      try {
        return new Uint8Array(await readFile(place(digest).file));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    has: (digest) => fs.existsSync(place(digest).file),
    async write(digest, bytes) {
      const { folder, file } = place(digest);
      const temporary = path.join(unfinished, `${writer}-${written++}`);
      try {
        await writeSynced(temporary, bytes);
        if (fs.mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) await syncFolder(directory);
        await rename(temporary, file);
        await syncFolder(folder);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    remove: (digest) => fs.rmSync(place(digest).file, { force: true }),
    isDamaged(digest) {
      try {
        return !equalBytes(
          createHash("sha256")
            .update(fs.readFileSync(place(digest).file))
            .digest(),
          digest,
        );
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
        throw error;
      }
    },
    all: () => scan(directory),
  };
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Another process may be writing into the folder now: only what nobody alive can have begun is removed. */
async function removeLeftovers(unfinished: string): Promise<void> {
  const startedMs = Date.now() - process.uptime() * 1000;
  for (const name of await readdir(unfinished)) {
    const file = path.join(unfinished, name);
    const pid = Number(name.split("-")[0]);
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Infinity }));
    // A number of a process can be given again: what is older than this process is not its own.
    if (pid === process.pid ? mtimeMs < startedMs : !isAlive(pid)) await rm(file, { force: true });
  }
}

async function* scan(directory: string): AsyncGenerator<BlockFile> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name.length !== 2) continue;
    const folder = path.join(directory, entry.name);
    for (const name of await readdir(folder)) {
      const digest = digestOfName(name);
      if (digest === undefined) continue;
      const found = await stat(path.join(folder, name)).catch(() => undefined);
      if (found?.isFile()) yield { digest, size: found.size };
    }
  }
}

function digestOfName(name: string): Uint8Array | undefined {
  if (!name.endsWith(EXTENSION)) return undefined;
  try {
    const { code, digest } = multihash.decode(base32upper.decode(name.slice(0, -EXTENSION.length)));
    return code === SHA2_256 && digest.length === 32 ? digest : undefined;
  } catch {
    return undefined;
  }
}
