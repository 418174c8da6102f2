import { z } from "zod";
import { bytesOf } from "./schemas.ts";

const bytes32 = bytesOf(32);
const signature = z.string().regex(/^0x[0-9a-f]{130}$/);
const round = z.number().int().min(0).max(1024);
const cid = z.string().min(1).max(100);

const statsSchema = z.strictObject({
  trainMs: z.number().nonnegative(),
  trainLoss: z.number(),
  sentBytes: z.number().int().nonnegative(),
  receivedBytes: z.number().int().nonnegative(),
});

/** What a worker says of its own round; shown to people, never used for money. */
export type RoundStats = z.output<typeof statsSchema>;

/** Bodies of the messages on a job's channel, by kind. Each arrives once, in the order of its sender. */
export const bodies = {
  /** "I have the key, the data and the initial weights." */
  ready: z.strictObject({ signature }),
  /** "I hold these updates and checked them"; `updates` says under which CID this node serves each of them. */
  attest: z.strictObject({
    round,
    received: bytes32,
    signature,
    stats: statsSchema,
    updates: z.array(z.tuple([z.number().int().min(0).max(255), cid])).max(256),
  }),
  /** Quorum mode: "The average of the included updates has this id." */
  merge: z.strictObject({ round, included: bytes32, idNext: bytes32, signature }),
  /** "Who has the weights with this id?" and the answer to whoever asked. */
  "need-state": z.strictObject({ modelId: bytes32 }),
  "have-state": z.strictObject({ modelId: bytes32, cid }),
  /** To the requester: "I finished with these weights" (the id computed anew from the weights in memory). */
  final: z.strictObject({ modelId: bytes32 }),
} as const;

export type MessageKind = keyof typeof bodies;
export type MessageBody<Kind extends MessageKind> = z.output<(typeof bodies)[Kind]>;

/** Bitmap as 32 big-endian bytes, as in the contract. */
export function bitmapBytes(set: bigint): Uint8Array {
  const out = new Uint8Array(32);
  for (let i = 31, rest = set; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn);
  return out;
}

export function bitmapFrom(bytes: Uint8Array): bigint {
  return bytes.reduce((set, byte) => (set << 8n) | BigInt(byte), 0n);
}
