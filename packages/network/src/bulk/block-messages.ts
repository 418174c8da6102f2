import { digestOfCid, InvalidInputError, type Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";

export const BLOCK_PROTOCOL = "/skynet/block/1";
/** Largest block, 4 MiB. */
export const MAX_BLOCK_BYTES = 4 * 1024 * 1024;
/** Longest request: a CID in text. */
export const MAX_REQUEST_BYTES = 128;

/** First byte of an answer; with `found` the block follows. */
export const BLOCK_STATUS = { found: 0, refused: 1, notFound: 2 } as const;

/** The CID that a request frame asks for. @throws NetworkError `Malformed` */
export function parseBlockRequest(frame: Uint8Array): string {
  const cid = new TextDecoder().decode(frame);
  try {
    digestOfCid(cid);
  } catch (cause) {
    if (cause instanceof InvalidInputError) throw new NetworkError("Malformed", "not a request for a block", { cause });
    throw cause;
  }
  return cid;
}

/** The block in an answer frame; its hash is not checked yet. @throws NetworkError `Refused`, `NotFound`, `Malformed` */
export function parseBlockAnswer(frame: Uint8Array, cid: string, peer: Hex): Uint8Array {
  switch (frame[0]) {
    case BLOCK_STATUS.found:
      return frame.subarray(1);
    case BLOCK_STATUS.refused:
      throw new NetworkError("Refused", `${peer} does not serve block ${cid} to us`, {
        hint: "only nodes that are assigned to the job may fetch its blocks",
      });
    case BLOCK_STATUS.notFound:
      throw new NetworkError("NotFound", `${peer} does not have block ${cid}`);
    default:
      throw new NetworkError("Malformed", `${peer} sent an unknown answer`);
  }
}
