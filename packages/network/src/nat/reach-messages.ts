import { decode, encode } from "@skynet/protocol";
import { z } from "zod";
import { NetworkError } from "../errors.ts";

/** Asks a relay what it knows of our way to it, and to try our addresses from its side. */
export const REACH_PROTOCOL = "/skynet/reach/1";
export const MAX_REACH_BYTES = 4096;
const MAX_DIAL_BACK = 4;

const port = z.number().int().min(1).max(65_535);
const requestSchema = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("info") }),
  z.strictObject({ t: z.literal("dialBack"), multiaddrs: z.array(z.string().max(256)).min(1).max(MAX_DIAL_BACK) }),
]);
const infoSchema = z.strictObject({
  /** UDP ports of the relay's STUN server, on the address at which we reach the relay. */
  stunPorts: z.array(port).max(4),
  /** Whether it carries circuits. */
  circuits: z.boolean(),
});
const dialBackSchema = z.strictObject({ reached: z.array(z.boolean()).max(MAX_DIAL_BACK) });

export type ReachRequest = z.output<typeof requestSchema>;
export type ReachInfo = z.output<typeof infoSchema>;
export type DialBackAnswer = z.output<typeof dialBackSchema>;

export const encodeReach = (message: ReachRequest | ReachInfo | DialBackAnswer): Uint8Array => encode(message);

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  let content: unknown;
  try {
    content = decode(bytes);
  } catch (cause) {
    throw new NetworkError("Malformed", "a reach message that is not CBOR", { cause });
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) throw new NetworkError("Malformed", "not a reach message", { cause: parsed.error });
  return parsed.data;
}

/** @throws NetworkError `Malformed` */
export const parseReachRequest = (bytes: Uint8Array): ReachRequest => parse(requestSchema, bytes);
/** @throws NetworkError `Malformed` */
export const parseReachInfo = (bytes: Uint8Array): ReachInfo => parse(infoSchema, bytes);
/** @throws NetworkError `Malformed` */
export const parseDialBack = (bytes: Uint8Array): DialBackAnswer => parse(dialBackSchema, bytes);
