import { decode, digestOfCid, encode, InvalidInputError, MAX_BLOCK_BYTES, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { NetworkError } from "../errors.ts";

export { MAX_BLOCK_BYTES };

export const BLOCK_PROTOCOL = "/skynet/block/2";
/** Longest request. */
export const MAX_REQUEST_BYTES = 256;
/** Most bytes of a block in one answer, 512 KiB. */
export const MAX_PART_BYTES = 512 * 1024;
/** Bytes of an answer before its part. */
export const ANSWER_HEAD_BYTES = 9;
/** Requests that a peer may have waiting on one stream. */
export const MAX_WAITING_REQUESTS = 256;

const uint32 = z.int().min(0).max(0xffffffff);
const cid = z.string().refine(isCid, "not a CID");
const requestSchema = z.discriminatedUnion("t", [
  z.strictObject({
    t: z.literal("get"),
    id: uint32,
    cid,
    from: z.int().min(0).max(MAX_BLOCK_BYTES),
    length: z.int().min(1).max(MAX_PART_BYTES),
  }),
  z.strictObject({ t: z.literal("stop"), id: uint32 }),
]);

/** `get`: bytes `from` to `from + length` of a block, fewer at its end. `stop`: the answer to `id` is needed no more. */
export type BlockRequest = z.output<typeof requestSchema>;
export type PartRequest = Extract<BlockRequest, { t: "get" }>;

function isCid(text: string): boolean {
  try {
    return digestOfCid(text).length === 32;
  } catch (error) {
    if (error instanceof InvalidInputError) return false;
    throw error;
  }
}

export const encodeBlockRequest = (request: BlockRequest): Uint8Array => encode({ ...request });

/** @throws NetworkError `Malformed` */
export function parseBlockRequest(frame: Uint8Array): BlockRequest {
  try {
    return requestSchema.parse(decode(frame));
  } catch (cause) {
    throw new NetworkError("Malformed", "not a request for a block", { cause });
  }
}

/** Every request is answered once, in the order of the requests; with `part` the bytes follow. */
export const BLOCK_STATUS = { part: 0, refused: 1, notFound: 2, stopped: 3 } as const;

/** What an answer begins with. `size`: bytes of the whole block, 0 unless the status is `part`. */
export interface AnswerHead {
  readonly id: number;
  readonly status: number;
  readonly size: number;
}

/** Request number (4 bytes), status (1), size of the block (4), big-endian. */
export function encodeAnswerHead({ id, status, size }: AnswerHead): Uint8Array {
  const head = new Uint8Array(ANSWER_HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setUint32(0, id);
  view.setUint8(4, status);
  view.setUint32(5, size);
  return head;
}

/**
 * Checks the beginning of an answer against its request. `partBytes`: bytes of the frame after it.
 * @throws NetworkError `Refused`, `NotFound`, `Malformed`
 */
export function parseAnswerHead(head: Uint8Array, request: PartRequest, partBytes: number, peer: Hex): AnswerHead {
  const view = new DataView(head.buffer, head.byteOffset);
  const answer = { id: view.getUint32(0), status: view.getUint8(4), size: view.getUint32(5) };
  const { cid, from, length } = request;
  if (answer.id !== request.id) throw new NetworkError("Malformed", `${peer} answered another request`);
  if (answer.status !== BLOCK_STATUS.part && partBytes > 0)
    throw new NetworkError("Malformed", `${peer} sent bytes with a refusal`);
  switch (answer.status) {
    case BLOCK_STATUS.stopped:
      return answer;
    case BLOCK_STATUS.part:
      if (answer.size > MAX_BLOCK_BYTES || partBytes !== Math.max(0, Math.min(length, answer.size - from)))
        throw new NetworkError("Malformed", `${peer} sent ${partBytes} bytes of a block of ${answer.size}`);
      return answer;
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
