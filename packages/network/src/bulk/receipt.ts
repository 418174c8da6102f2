import { decode, encode, fromHex, keccak256, toHex, word, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { jobIdSchema } from "../messages/envelope.ts";
import { NetworkError } from "../errors.ts";
import { addressFromPublicKey, type Identity } from "../identity/identity.ts";
import { recoverSigner, signRecoverable } from "../identity/signature.ts";

const text = new TextEncoder();
const DOMAIN = keccak256(text.encode("skynet/1/receipt"));

const sized = (length: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length, `not ${length} bytes`);

/** Names one update of one sender. */
export const updateIdSchema = z.strictObject({
  job: jobIdSchema,
  round: z.int().min(0).max(0xffffffff),
  kind: z.string().regex(/^[a-z0-9-]{1,32}$/),
});
export type UpdateId = z.infer<typeof updateIdSchema>;

/** Proof that `receiver` got and verified the content with this hash from `sender`. */
export interface Receipt extends UpdateId {
  /** SHA-256 of the content. */
  readonly hash: Hex;
  readonly sender: Hex;
  readonly receiver: Hex;
}

const receiptSchema = z.strictObject({
  v: z.literal(1),
  ...updateIdSchema.shape,
  hash: sized(32),
  sender: sized(20),
  signature: sized(65),
});

/**
 * What a receiver signs, in words of 32 bytes so that a contract can check it with ecrecover: keccak256(
 * keccak256("skynet/1/receipt"), job, round, keccak256(kind), hash, sender).
 */
export function receiptDigest({ job, round, kind, hash, sender }: Omit<Receipt, "receiver">): Uint8Array {
  const kindHash = keccak256(text.encode(kind));
  return keccak256(DOMAIN, word(BigInt(job)), word(round), kindHash, fromHex(hash), word(BigInt(sender)));
}

/** Canonical dag-cbor { v, job, round, kind, hash, sender, signature }. */
export function signReceipt(content: Omit<Receipt, "receiver">, receiver: Identity): Uint8Array {
  const { job, round, kind, hash, sender } = content;
  const signature = signRecoverable(receiptDigest(content), receiver.privateKey);
  return encode({ v: 1, job, round, kind, hash: fromHex(hash), sender: fromHex(sender), signature });
}

/**
 * Reads a receipt. The receiver is whoever signed it: compare it, and the rest, with what you expect.
 * @throws NetworkError `BadReceipt` when it does not parse or the signature is none
 */
export function verifyReceipt(bytes: Uint8Array): Receipt {
  let content: Omit<Receipt, "receiver">;
  let signature: Uint8Array;
  try {
    const parsed = receiptSchema.parse(decode(bytes));
    const { job, round, kind } = parsed;
    content = { job, round, kind, hash: toHex(parsed.hash), sender: toHex(parsed.sender) };
    signature = parsed.signature;
  } catch (cause) {
    throw new NetworkError("BadReceipt", "not a receipt", { cause });
  }
  const signer = recoverSigner(receiptDigest(content), signature);
  if (signer === undefined) throw new NetworkError("BadReceipt", "the receipt's signature is not valid");
  return { ...content, receiver: addressFromPublicKey(signer) };
}

/** @throws NetworkError `BadReceipt` unless the receipt says exactly `expected` */
export function checkReceipt(bytes: Uint8Array, expected: Receipt): void {
  const receipt = verifyReceipt(bytes);
  for (const field of ["job", "round", "kind", "hash", "sender", "receiver"] as const)
    if (receipt[field] !== expected[field])
      throw new NetworkError("BadReceipt", `the receipt is for another ${field}: ${receipt[field]}`);
}
