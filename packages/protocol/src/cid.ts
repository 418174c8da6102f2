import { CID } from "multiformats/cid";
import * as digest from "multiformats/hashes/digest";
import { equalBytes } from "./bytes.ts";
import { InvalidInputError } from "./errors.ts";

const SHA2_256 = 0x12;
const CODECS = { raw: 0x55, "dag-pb": 0x70, "dag-cbor": 0x71 } as const;
const CODEC_OF = new Map(Object.entries(CODECS).map(([name, code]) => [code as number, name as BlockCodec]));

/** Largest block that is kept and sent, 4 MiB; what is larger is cut into several. */
export const MAX_BLOCK_BYTES = 4 * 1024 * 1024;

/** How the bytes of a block are to be read; part of its CID, not of its hash. */
export type BlockCodec = keyof typeof CODECS;

/** SHA-256 by the platform's native code, in the browser too. 32 bytes. */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/** CID version 1 (base32) of a block hashed with SHA-256. */
export async function cidOf(bytes: Uint8Array, codec: BlockCodec = "raw"): Promise<string> {
  return cidOfDigest(await sha256(bytes), codec);
}

/** CID version 1 (base32) of the block with this SHA-256. */
export function cidOfDigest(hash: Uint8Array, codec: BlockCodec = "raw"): string {
  return CID.createV1(CODECS[codec], digest.create(SHA2_256, hash)).toString();
}

function parseCid(text: string): { readonly codec: BlockCodec; readonly digest: Uint8Array } {
  if (/^b[a-z2-7]{58}$/.test(text)) {
    let cid: CID | undefined;
    try {
      cid = CID.parse(text);
    } catch {
      cid = undefined;
    }
    const codec = cid && CODEC_OF.get(cid.code);
    if (cid && codec && cid.version === 1 && cid.multihash.code === SHA2_256 && cid.toString() === text)
      return { codec, digest: cid.multihash.digest };
  }
  throw new InvalidInputError("BadCid", `not a CID version 1 with SHA-256: ${text.slice(0, 80)}`, {
    hint: "SkyNet blocks are raw, dag-pb or dag-cbor, base32 (they start with bafk or bafy)",
  });
}

/**
 * SHA-256 digest that a CID names.
 * @throws InvalidInputError `BadCid` unless it is a base32 CID version 1, raw, dag-pb or dag-cbor, with SHA-256
 */
export const digestOfCid = (text: string): Uint8Array => parseCid(text).digest;

/** How the bytes behind a CID are to be read. @throws InvalidInputError `BadCid` */
export const codecOfCid = (text: string): BlockCodec => parseCid(text).codec;

/** Whether `bytes` are the block that `cid` names. @throws InvalidInputError `BadCid` */
export async function matchesCid(cid: string, bytes: Uint8Array): Promise<boolean> {
  return equalBytes(digestOfCid(cid), await sha256(bytes));
}
