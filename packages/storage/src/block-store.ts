import { cidOf, concatBytes, digestOfCid, matchesCid, type BlockCodec } from "@skynet/protocol";
import { FsBlockstore } from "blockstore-fs";
import { CID } from "multiformats/cid";
import { reasonOf, StorageError } from "./errors.ts";

/** Blocks by the hash of their content. */
export interface BlockStore {
  /** @returns the block's CID @throws StorageError `DiskFull`, `StoreFailed` */
  put(bytes: Uint8Array, codec?: BlockCodec): Promise<string>;
  /**
   * The block, or undefined when it is missing. A block that no longer has its hash is removed and counts as missing.
   * @throws InvalidInputError `BadCid`; StorageError `StoreFailed`
   */
  get(cid: string): Promise<Uint8Array | undefined>;
  has(cid: string): Promise<boolean>;
}

export interface BlockStoreOptions {
  /** Told about every block that was found damaged, with `CorruptBlock`. */
  readonly onCorrupt?: (error: StorageError, cid: string) => void;
}

/**
 * Opens or creates a block store in a directory: one file per block, sharded by the end of the CID, written to a
 * temporary name and then renamed.
 * @throws StorageError `StoreFailed`, `DiskFull`
 */
export async function openBlockStore(directory: string, { onCorrupt }: BlockStoreOptions = {}): Promise<BlockStore> {
  const store = new FsBlockstore(directory);
  await store.open().catch((cause: unknown) => {
    throw storeError(cause, directory);
  });
  const writing = new Map<string, Promise<unknown>>();

  const read = async (cid: CID): Promise<Uint8Array | undefined> => {
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of store.get(cid)) chunks.push(chunk);
    } catch (cause) {
      if (reasonOf(cause).includes("ENOENT")) return undefined;
      throw storeError(cause, directory);
    }
    return concatBytes(...chunks);
  };
  return {
    async put(bytes, codec = "raw") {
      const cid = await cidOf(bytes, codec);
      // Two writers of one block would share a temporary file.
      let write = writing.get(cid);
      if (write === undefined) {
        write = store.put(CID.parse(cid), bytes).finally(() => writing.delete(cid));
        writing.set(cid, write);
      }
      await write.catch((cause: unknown) => {
        throw storeError(cause, directory);
      });
      return cid;
    },
    async get(text) {
      digestOfCid(text);
      const cid = CID.parse(text);
      const bytes = await read(cid);
      if (bytes === undefined || (await matchesCid(text, bytes))) return bytes;
      await store.delete(cid).catch((cause: unknown) => {
        throw storeError(cause, directory);
      });
      onCorrupt?.(new StorageError("CorruptBlock", `the block ${text} was damaged on disk and is removed`), text);
      return undefined;
    },
    async has(text) {
      digestOfCid(text);
      return store.has(CID.parse(text));
    },
  };
}

function storeError(cause: unknown, directory: string): StorageError {
  const reason = reasonOf(cause);
  if (/ENOSPC|EDQUOT/.test(reason))
    return new StorageError("DiskFull", `no space left for blocks in ${directory}`, {
      cause,
      hint: "free some space, or choose a directory on another disk",
    });
  return new StorageError("StoreFailed", `the block store in ${directory} failed: ${reason}`, {
    cause,
    hint: "check that the directory can be read and written",
  });
}
