import {
  fromHex,
  keccak256,
  merklePath,
  merkleRoot,
  merkleRootFromPath,
  toHex,
  word,
  type Hex,
} from "@skynet/protocol";
import { z } from "zod";
import { NetworkError } from "../errors.ts";
import { addressFromPublicKey, type Identity } from "../identity/identity.ts";
import { recoverSigner, signRecoverable } from "../identity/signature.ts";
import { jobIdSchema } from "../messages/envelope.ts";

/** Most messages that one signature confirms. */
export const MAX_CONFIRMED = 32;

const DOMAIN = keccak256(new TextEncoder().encode("skynet/1/delivery"));

/** Names the numbered messages of one sender in one job, or outside jobs. */
export interface StreamId {
  readonly job: string | null;
  readonly sender: Hex;
  /** Grows when the sender has lost its numbers and begins again at 1. */
  readonly session: number;
}

/** One confirmed message: its number, and the SHA-256 of its content. */
export interface Confirmed {
  readonly seq: number;
  readonly hash: Uint8Array;
}

const hex = (bytes: number) =>
  z.custom<Hex>((value) => typeof value === "string" && new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`).test(value));

const receiptSchema = z.strictObject({
  job: jobIdSchema.nullable(),
  sender: hex(20),
  receiver: hex(20),
  session: z.int().nonnegative(),
  seq: z.int().positive(),
  hash: hex(32),
  index: z.int().min(0).max(MAX_CONFIRMED),
  count: z.int().min(1).max(MAX_CONFIRMED),
  path: z.array(hex(32)).max(5),
  signature: hex(65),
});

/**
 * Proof that `receiver` handled the content with SHA-256 `hash` as message `seq` of `sender`. One signature confirms
 * `count` messages; `path` leads from this one, at `index`, to what was signed.
 */
export type DeliveryReceipt = Readonly<z.infer<typeof receiptSchema>>;

const leafOf = ({ seq, hash }: Confirmed): Uint8Array => keccak256(word(seq), hash);

/**
 * What a receiver signs, in words of 32 bytes so that a contract can check it with ecrecover: keccak256(
 * keccak256("skynet/1/delivery"), job or 0, sender, session, root of the tree of keccak256(seq, hash)).
 */
function digestOf({ job, sender, session }: StreamId, root: Uint8Array): Uint8Array {
  return keccak256(DOMAIN, word(BigInt(job ?? 0)), word(BigInt(sender)), word(session), root);
}

/** The receiver's signature over up to {@link MAX_CONFIRMED} messages. */
export function signConfirmation(stream: StreamId, confirmed: readonly Confirmed[], receiver: Identity): Uint8Array {
  return signRecoverable(digestOf(stream, merkleRoot(confirmed.map(leafOf))), receiver.privateKey);
}

/**
 * Checks a confirmation of `receiver`.
 * @returns a function that makes the receipt of one of its messages
 * @throws NetworkError `BadReceipt` unless the receiver signed exactly this
 */
export function openConfirmation(
  stream: StreamId,
  confirmed: readonly Confirmed[],
  signature: Uint8Array,
  receiver: Hex,
): (index: number) => DeliveryReceipt {
  const leaves = confirmed.map(leafOf);
  const signer = recoverSigner(digestOf(stream, merkleRoot(leaves)), signature);
  if (signer === undefined || addressFromPublicKey(signer) !== receiver)
    throw new NetworkError("BadReceipt", `the confirmation was not signed by ${receiver}`);
  return (index) => ({
    ...stream,
    receiver,
    seq: confirmed[index]!.seq,
    hash: toHex(confirmed[index]!.hash),
    index,
    count: leaves.length,
    path: merklePath(leaves, index).map(toHex),
    signature: toHex(signature),
  });
}

/**
 * Checks a stored receipt by itself.
 * @throws NetworkError `BadReceipt` unless its receiver signed that it got this content with this number from the sender
 */
export function verifyDeliveryReceipt(value: unknown): DeliveryReceipt {
  let receipt: DeliveryReceipt;
  let root: Uint8Array;
  try {
    receipt = receiptSchema.parse(value);
    const { seq, hash, index, count, path } = receipt;
    root = merkleRootFromPath(leafOf({ seq, hash: fromHex(hash) }), index, count, path.map(fromHex));
  } catch (cause) {
    throw new NetworkError("BadReceipt", "not a receipt of a message", { cause });
  }
  const signer = recoverSigner(digestOf(receipt, root), fromHex(receipt.signature));
  if (signer === undefined || addressFromPublicKey(signer) !== receipt.receiver)
    throw new NetworkError("BadReceipt", `the receipt was not signed by ${receipt.receiver}`);
  return receipt;
}
