import { decode, encode, InvalidInputError, toHex, fromHex, type Hex } from "@skynet/protocol";
import type { RawCall } from "@skynet/contracts";
import { z } from "zod";
import { SponsorError } from "./errors.ts";

export const SPONSOR_PROTOCOL = "/skynet/sponsor/1";
/** What the transaction pools of chains take. */
export const MAX_REQUEST_BYTES = 128 * 1024;
export const MAX_ANSWER_BYTES = 4096;
const MAX_REASON = 500;

const bytesOf = (length?: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && (length ?? value.length) === value.length);

const requestSchema = z.strictObject({ v: z.literal(1), job: bytesOf(32), to: bytesOf(20), data: bytesOf() });
const answerSchema = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("sent"), hash: bytesOf(32) }),
  z.strictObject({ t: z.literal("refused"), code: z.string().max(64), reason: z.string().max(MAX_REASON) }),
]);

/** A call that a worker wants to be sent, and the job that it is for. */
export interface SponsorRequest {
  readonly job: Hex;
  readonly call: RawCall;
}

export type SponsorAnswer =
  /** The transaction is in a block. */
  | { readonly t: "sent"; readonly hash: Hex }
  | { readonly t: "refused"; readonly code: string; readonly reason: string };

export function encodeRequest({ job, call }: SponsorRequest): Uint8Array {
  return encode({ v: 1, job: fromHex(job), to: fromHex(call.to), data: fromHex(call.data) });
}

/** @throws SponsorError `Malformed` */
export function decodeRequest(bytes: Uint8Array): SponsorRequest {
  const { job, to, data } = parse(requestSchema, bytes, "not a request to a sponsor");
  return { job: toHex(job), call: { to: toHex(to), data: toHex(data) } };
}

export function encodeAnswer(answer: SponsorAnswer): Uint8Array {
  return encode(
    answer.t === "sent"
      ? { t: "sent", hash: fromHex(answer.hash) }
      : { ...answer, code: answer.code.slice(0, 64), reason: answer.reason.slice(0, MAX_REASON) },
  );
}

/** @throws SponsorError `Malformed` */
export function decodeAnswer(bytes: Uint8Array): SponsorAnswer {
  const answer = parse(answerSchema, bytes, "not an answer of a sponsor");
  return answer.t === "sent" ? { t: "sent", hash: toHex(answer.hash) } : answer;
}

function parse<Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array, what: string): z.output<Schema> {
  try {
    return schema.parse(decode(bytes));
  } catch (cause) {
    if (cause instanceof InvalidInputError || cause instanceof z.ZodError)
      throw new SponsorError("Malformed", what, { cause });
    throw cause;
  }
}
