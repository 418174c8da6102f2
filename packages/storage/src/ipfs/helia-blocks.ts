import { cidOfDigest, concatBytes, type BlockCodec } from "@skynet/protocol";
import type { CID } from "multiformats/cid";
import type { BlockStore } from "../blocks/block-store.ts";
import { StorageError } from "../errors.ts";

const SHA2_256 = 0x12;
const IDENTITY = 0x00;
const CODECS = new Map<number, BlockCodec>([
  [0x55, "raw"],
  [0x70, "dag-pb"],
  [0x71, "dag-cbor"],
]);

/** The block's name in our store, whatever version its CID has. @throws StorageError `UnsupportedFile` */
export function nameOf(cid: CID): string {
  const codec = CODECS.get(cid.code);
  if (codec !== undefined && cid.multihash.code === SHA2_256 && cid.multihash.digest.length === 32)
    return cidOfDigest(cid.multihash.digest, codec);
  throw new StorageError("UnsupportedFile", `blocks like ${cid.toString()} are not kept`, {
    hint: "blocks of IPFS that are raw, dag-pb or dag-cbor with SHA-256 are: add the file again with these",
  });
}

/** Whether a CID holds the bytes themselves. */
export const isInline = (cid: CID): boolean => cid.multihash.code === IDENTITY;

/** A block that must be here. @throws StorageError `BlockMissing` */
export async function blockOf(store: Pick<BlockStore, "get">, cid: string): Promise<Uint8Array> {
  const bytes = await store.get(cid);
  if (bytes !== undefined) return bytes;
  throw new StorageError("BlockMissing", `the block ${cid} is not here`, {
    hint: "fetch or add its content again: blocks that nothing pins are removed after a while",
  });
}

type Bytes = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Our block store as Helia's modules take one. */
export function heliaBlocks(store: BlockStore, onPut: (cid: string, bytes: number) => void = () => undefined) {
  return {
    async put(cid: CID, content: Bytes): Promise<CID> {
      const parts: Uint8Array[] = [];
      if (content instanceof Uint8Array) parts.push(content);
      else for await (const part of content) parts.push(part);
      const bytes = concatBytes(...parts);
      const name = nameOf(cid);
      const put = await store.put(bytes, CODECS.get(cid.code));
      if (put !== name) throw new StorageError("CorruptBlock", `other bytes than block ${name} were to be stored`);
      onPut(name, bytes.length);
      return cid;
    },
    async *get(cid: CID): AsyncGenerator<Uint8Array> {
      yield isInline(cid) ? cid.multihash.digest : await blockOf(store, nameOf(cid));
    },
    has: async (cid: CID): Promise<boolean> => isInline(cid) || store.has(nameOf(cid)),
  };
}
