import { sha256 } from "@noble/hashes/sha2.js";
import { decode, encode, fromHex, toHex } from "@skynet/protocol";
import { z } from "zod";
import { NetworkError } from "../errors.ts";
import { MAX_CONFIRMED, type Confirmed } from "./receipt.ts";

/** Most bytes of one message's content; with all that a frame may hold besides it fits a relayed message of 64 KiB. */
export const MAX_CONTENT_BYTES = 48 * 1024;
/** Most recipients of one message. */
export const MAX_RECIPIENTS = 256;
/** Numbers above the last settled one that may be on their way. */
export const WINDOW = 64;
/** Acknowledgements in one frame. */
export const MAX_ACKS = 8;
const MAX_REASON = 200;
/** Sessions are times; the last one that `Date` knows. Numbers near 2^53 cannot be counted on from. */
export const MAX_SESSION = 8_640_000_000_000_000;
/** How far clocks may differ: a later session than this from now is nothing that an honest node has ever said. */
export const CLOCK_SKEW_MS = 86_400_000;
/** A sender that was silent for so long may be forgotten; what it still wants to say may have been handled. */
export const FORGET_MS = 3_600_000;

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "not bytes");
const sized = (length: number) => bytes.refine((value) => value.length === length, `not ${length} bytes`);
const address = sized(20).transform((value) => toHex(value));
const number = z.int().nonnegative();
const session = number.max(MAX_SESSION);

const targetSchema = z
  .tuple([address, session, number, z.int().positive()])
  .transform(([to, session, seq, base]) => ({ to, session, seq, base }));

/** Whom a frame is for: number of the content in the recipient's stream (0: none), and the least unsettled number. */
export type Target = z.output<typeof targetSchema>;

const ackSchema = z.strictObject({
  to: address,
  session,
  order: number,
  upTo: number,
  held: bytes.refine((value) => value.length <= WINDOW / 8, "too many bits"),
  got: z
    .array(z.tuple([z.int().positive(), sized(32)]).transform(([seq, hash]): Confirmed => ({ seq, hash })))
    .max(MAX_CONFIRMED),
  signature: bytes.refine((value) => value.length === 65 || value.length === 0, "not a signature"),
  refused: z
    .array(z.tuple([z.int().positive(), z.string().max(MAX_REASON)]).transform(([seq, reason]) => ({ seq, reason })))
    .max(MAX_CONFIRMED),
});

/**
 * What a receiver says to one sender. `upTo`: every number up to it is settled; `held`: bit i for number upTo + 1 + i,
 * set when it is here and not handled yet; `got`: confirmed by the signature; `order` grows with every acknowledgement.
 */
export type Ack = z.output<typeof ackSchema>;

const frameSchema = z.strictObject({
  v: z.literal(1),
  to: z.array(targetSchema).max(MAX_RECIPIENTS),
  content: bytes.refine((value) => value.length <= MAX_CONTENT_BYTES, "too much content"),
  acks: z.array(ackSchema).max(MAX_ACKS),
});

/** One unit on the wire: at most one content, with targets and acknowledgements. */
export type Frame = Omit<z.output<typeof frameSchema>, "v">;

/** At least the bytes that an acknowledgement takes in a frame. */
export function ackBytes({ got, refused }: Ack): number {
  return 240 + 46 * got.length + refused.reduce((sum, { reason }) => sum + 16 + 3 * reason.length, 0);
}

export function encodeFrame({ to, content, acks }: Frame): Uint8Array {
  return encode({
    v: 1,
    to: to.map((target) => [fromHex(target.to), target.session, target.seq, target.base]),
    content,
    acks: acks.map((ack) => ({
      ...ack,
      to: fromHex(ack.to),
      got: ack.got.map(({ seq, hash }) => [seq, hash]),
      refused: ack.refused.map(({ seq, reason }) => [seq, reason]),
    })),
  });
}

/** @throws NetworkError `Malformed` */
export function parseFrame(encoded: unknown): Frame {
  try {
    const { to, content, acks } = frameSchema.parse(decode(bytes.parse(encoded)));
    return { to, content, acks };
  } catch (cause) {
    throw new NetworkError("Malformed", "not a frame of messages", { cause });
  }
}

const contentSchema = z.strictObject({ v: z.literal(1), kind: z.string().min(1).max(64), body: z.unknown() });

/** What a message says. */
export interface Content {
  readonly kind: string;
  readonly body: unknown;
}

/** @throws NetworkError `BadOption` when it cannot be encoded, `TooLarge` */
export function encodeContent(kind: string, body: unknown): Uint8Array {
  let encoded: Uint8Array;
  try {
    encoded = encode(contentSchema.parse({ v: 1, kind, body }));
  } catch (cause) {
    throw new NetworkError("BadOption", "the message cannot be encoded", {
      cause,
      hint: "kind: 1 to 64 characters; body: what dag-cbor can hold (no undefined)",
    });
  }
  if (encoded.length > MAX_CONTENT_BYTES)
    throw new NetworkError("TooLarge", `the message has ${encoded.length} bytes, at most ${MAX_CONTENT_BYTES} fit`, {
      hint: "send the content's hash and the content over a stream",
    });
  return encoded;
}

/** @throws NetworkError `Malformed` */
export function parseContent(encoded: Uint8Array): Content {
  try {
    const { kind, body } = contentSchema.parse(decode(encoded));
    return { kind, body };
  } catch (cause) {
    throw new NetworkError("Malformed", "not the content of a message", { cause });
  }
}

/** A reason as it fits into a frame. */
export const reasonText = (reason: string): string => reason.slice(0, MAX_REASON);

export const hashOf = (content: Uint8Array): Uint8Array => sha256(content);

/** Bits of the numbers above `upTo` that are in `seqs`. */
export function heldBits(upTo: number, seqs: Iterable<number>): Uint8Array {
  const bits = new Uint8Array(WINDOW / 8);
  let used = 0;
  for (const seq of seqs) {
    const i = seq - upTo - 1;
    if (i < 0 || i >= WINDOW) continue;
    bits[i >> 3]! |= 1 << (i & 7);
    used = Math.max(used, (i >> 3) + 1);
  }
  return bits.slice(0, used);
}

export function isHeld({ upTo, held }: Pick<Ack, "upTo" | "held">, seq: number): boolean {
  const i = seq - upTo - 1;
  return i >= 0 && (((held[i >> 3] ?? 0) >> (i & 7)) & 1) === 1;
}

/** The highest number that is held; without one, the last settled one. */
export function highestHeld({ upTo, held }: Pick<Ack, "upTo" | "held">): number {
  for (let seq = upTo + 8 * held.length; seq > upTo; seq--) if (isHeld({ upTo, held }, seq)) return seq;
  return upTo;
}
