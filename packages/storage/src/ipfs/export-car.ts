import path from "node:path";
import type { CID } from "multiformats/cid";
import type { BlockStore } from "../blocks/block-store.ts";
import { StorageError } from "../errors.ts";
import { parseCid } from "./files.ts";
import { heliaBlocks, nameOf } from "./helia-blocks.ts";
import { writeWhole } from "./write-whole.ts";

export interface ExportCarOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((writtenBytes: number) => void) | undefined;
}

const silent = Object.assign(() => undefined, { error: () => undefined, trace: () => undefined, enabled: false });

/** Blocks that were written already. */
function once() {
  const seen = new Set<string>();
  const key = (digest: Uint8Array) => Buffer.from(digest).toString("latin1");
  return {
    has: (digest: Uint8Array) => seen.has(key(digest)),
    add: (digest: Uint8Array) => void seen.add(key(digest)),
  };
}

async function codecOf(code: number) {
  if (code === 0x70) return import("@ipld/dag-pb");
  if (code === 0x71) return import("@ipld/dag-cbor");
  if (code === 0x55) return import("multiformats/codecs/raw");
  throw new StorageError("UnsupportedFile", `blocks of codec ${code} are not kept`);
}

/**
 * Writes a CAR (version 1) with all blocks below a CID, parents first, each once.
 * @returns its size in bytes
 * @throws StorageError `BlockMissing`, `UnsupportedFile`, `DiskFull`
 */
export async function exportCar(
  store: BlockStore,
  cid: string,
  file: string,
  { signal, onProgress }: ExportCarOptions = {},
): Promise<number> {
  const root = parseCid(cid);
  nameOf(root);
  const { car } = await import("@helia/car");
  const logger = { forComponent: () => silent };
  const exporter = car({ blockstore: heliaBlocks(store), getCodec: codecOf, logger } as never);
  let written = 0;
  await writeWhole(path.resolve(file), async (write) => {
    const options = { blockFilter: once() as never, ...(signal ? { signal } : {}) };
    for await (const bytes of exporter.export(root as CID, options)) {
      signal?.throwIfAborted();
      await write(bytes);
      written += bytes.length;
      onProgress?.(written);
    }
  });
  return written;
}
