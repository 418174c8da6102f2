import { importer } from "ipfs-unixfs-importer";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { balanced } from "ipfs-unixfs-importer/layout";
import type { CID } from "multiformats/cid";

/** How a file becomes a tree of blocks, which decides its CID. */
export interface UnixfsLayout {
  readonly chunkBytes: number;
  /** Most children of a node. */
  readonly width: number;
}

/**
 * The two layouts in use for CIDs of version 1, both with raw leaves: the one of `cid-version=1` in Kubo for years, which
 * Lighthouse's nodes speak, and the profile unixfs-v1-2025 of IPIP-499, to which implementations are moving.
 */
export const LAYOUTS: readonly UnixfsLayout[] = [
  { chunkBytes: 262_144, width: 174 },
  { chunkBytes: 1_048_576, width: 1024 },
];

const forgetting = {
  async put(cid: CID): Promise<CID> {
    return cid;
  },
  get(): AsyncGenerator<Uint8Array> {
    throw new Error("nothing is kept");
  },
  async has(): Promise<boolean> {
    return false;
  },
};

/** CID of a file's content in a layout; nothing is kept. */
export async function fileCid(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { chunkBytes, width }: UnixfsLayout = LAYOUTS[0]!,
): Promise<string> {
  const options = {
    cidVersion: 1 as const,
    rawLeaves: true,
    reduceSingleLeafToSelf: true,
    wrapWithDirectory: false,
    chunker: fixedSize({ chunkSize: chunkBytes }),
    layout: balanced({ maxChildrenPerNode: width }),
  };
  let cid = "";
  for await (const entry of importer([{ content }], forgetting as never, options)) cid = entry.cid.toString();
  return cid;
}

/** Whether a CID is that of these bytes in one of the layouts in use. */
export async function isFileCid(cid: string, content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
  for (const layout of LAYOUTS) if ((await fileCid(content(), layout)) === cid) return true;
  return false;
}
