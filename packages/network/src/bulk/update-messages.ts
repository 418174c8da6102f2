import { cidOfDigest, decode, encode } from "@skynet/protocol";
import { z } from "zod";
import { NetworkError } from "../errors.ts";
import type { SizedBlock } from "./transfer-task.ts";
import { updateIdSchema, type UpdateId } from "./receipt.ts";

export const UPDATE_PROTOCOL = "/skynet/update/2";
/** 1 MiB; the last chunk may be shorter. */
export const CHUNK_BYTES = 1024 * 1024;
/** Largest offer or answer; its chunk hashes bound an update to about 2 GiB. */
export const MAX_CONTROL_BYTES = 64 * 1024;

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "not bytes");
const sized = (length: number) => bytes.refine((value) => value.length === length, `not ${length} bytes`);

/** What a sender announces before the content. */
const offerSchema = z
  .strictObject({
    v: z.literal(2),
    ...updateIdSchema.shape,
    size: z.int().min(1),
    hash: sized(32),
    chunks: bytes,
  })
  .refine(({ size, chunks }) => chunks.length === 32 * Math.ceil(size / CHUNK_BYTES), "wrong number of chunk hashes");

/** `hash`: SHA-256 of the content; `chunks`: SHA-256 of each chunk, concatenated; `size`: bytes. */
export interface Offer extends UpdateId {
  readonly size: number;
  readonly hash: Uint8Array;
  readonly chunks: Uint8Array;
}

const answerSchema = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("working") }),
  z.strictObject({ t: z.literal("receipt"), receipt: bytes }),
  z.strictObject({ t: z.literal("refused"), reason: z.string().max(256) }),
  z.strictObject({ t: z.literal("rejected"), reason: z.string().max(256) }),
]);

/**
 * What a receiver answers. `working`: it fetches or verifies, repeated every few seconds. The others end the exchange.
 */
export type Answer = z.infer<typeof answerSchema>;

export function encodeOffer({ job, round, kind, size, hash, chunks }: Offer): Uint8Array {
  return encode({ v: 2, job, round, kind, size, hash, chunks });
}

/** @throws NetworkError `Malformed` */
export function parseOffer(frame: Uint8Array): Offer {
  const { job, round, kind, size, hash, chunks } = parse(offerSchema, frame, "an offer");
  return { job, round, kind, size, hash, chunks };
}

export function encodeAnswer(answer: Answer): Uint8Array {
  return encode("reason" in answer ? { ...answer, reason: answer.reason.slice(0, 256) } : answer);
}

/** @throws NetworkError `Malformed` */
export function parseAnswer(frame: Uint8Array): Answer {
  return parse(answerSchema, frame, "an answer to an update");
}

function parse<T>(schema: z.ZodType<T>, frame: Uint8Array, what: string): T {
  try {
    return schema.parse(decode(frame));
  } catch (cause) {
    throw new NetworkError("Malformed", `not ${what}`, { cause });
  }
}

/** The part of `content` that chunk `index` is. */
export function chunkOf(content: Uint8Array, index: number): Uint8Array {
  return content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
}

/** The chunks as blocks, in order. */
export const blocksOfOffer = ({ size, chunks }: Offer): SizedBlock[] =>
  Array.from({ length: chunks.length / 32 }, (_, i) => ({
    cid: cidOfDigest(chunks.subarray(32 * i, 32 * i + 32)),
    size: Math.min(CHUNK_BYTES, size - i * CHUNK_BYTES),
  }));
