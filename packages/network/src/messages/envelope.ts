import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concatBytes, decode, encode, keccak256 } from "@skynet/protocol";
import { z } from "zod";
import { NetworkError } from "../errors.ts";
import type { RandomBytes } from "../identity/group-key.ts";
import type { Identity } from "../identity/identity.ts";
import type { SignatureVerifier } from "../identity/verify-signature.ts";

const PLAIN = 0;
const ENCRYPTED = 1;
const NONCE_BYTES = 24;
const text = new TextEncoder();
const DOMAIN = keccak256(text.encode("skynet/1/message"));

/** A job's id: 1 to 32 bytes as lower-case 0x hexadecimal. */
export const jobIdSchema = z.string().regex(/^0x([0-9a-f]{2}){1,32}$/);

const bytesOf = (length: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length, `not ${length} bytes`);

const contentSchema = z.strictObject({
  v: z.literal(1),
  kind: z.string().min(1).max(64),
  job: jobIdSchema.nullable(),
  from: bytesOf(33),
  seq: z.int().positive(),
  body: z.unknown(),
});
const signedSchema = z.strictObject({ m: z.instanceof(Uint8Array), s: bytesOf(64) });

/** What the sender signs. */
export type EnvelopeContent = z.infer<typeof contentSchema>;

/** A parsed envelope; its signature is not checked yet. */
export interface Envelope extends EnvelopeContent {
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** What one message says. */
export interface OutgoingMessage {
  readonly kind: string;
  readonly job: string | null;
  readonly body: unknown;
}

interface SealOptions {
  readonly identity: Identity;
  readonly contentTopic: string;
  readonly seq: number;
  readonly groupKey?: Uint8Array | undefined;
  readonly random: RandomBytes;
}

/**
 * What is hashed and signed: the domain and the content topic too, so that a message cannot be moved to another topic.
 */
function signedBytes(contentTopic: string, content: Uint8Array): Uint8Array {
  return concatBytes(DOMAIN, keccak256(text.encode(contentTopic)), content);
}

/**
 * Payload of a relay message. Signed: dag-cbor { m: dag-cbor { v, kind, job, from, seq, body }, s: signature } after a
 * zero byte; with a group key: a one byte, a random nonce of 24 bytes, and XChaCha20-Poly1305 of that map with the
 * content topic as associated data.
 * @throws NetworkError `BadOption` when kind, job or body cannot be encoded
 */
export function sealEnvelope(message: OutgoingMessage, options: SealOptions): Uint8Array {
  const { identity, contentTopic, seq, groupKey, random } = options;
  const content = { v: 1, ...message, from: identity.compressedPublicKey, seq };
  let bytes: Uint8Array;
  try {
    const { kind, job, body } = contentSchema.parse(content);
    bytes = encode({ v: 1, kind, job, from: identity.compressedPublicKey, seq, body });
  } catch (cause) {
    throw new NetworkError("BadOption", "the message cannot be encoded", {
      cause,
      hint: "kind: 1 to 64 characters; job: hexadecimal or null; body: what dag-cbor can hold (no undefined)",
    });
  }
  const signature = secp256k1.sign(keccak256(signedBytes(contentTopic, bytes)), identity.privateKey, {
    prehash: false,
  });
  const signed = encode({ m: bytes, s: signature });
  if (groupKey === undefined) return concatBytes(Uint8Array.of(PLAIN), signed);
  const nonce = random(NONCE_BYTES);
  const sealed = xchacha20poly1305(groupKey, nonce, text.encode(contentTopic)).encrypt(signed);
  return concatBytes(Uint8Array.of(ENCRYPTED), nonce, sealed);
}

/** Whether a payload is encrypted. @throws NetworkError `Malformed` when it is neither that nor plain */
export function isEncrypted(payload: Uint8Array): boolean {
  if (payload[0] !== PLAIN && payload[0] !== ENCRYPTED) throw new NetworkError("Malformed", "unknown payload form");
  return payload[0] === ENCRYPTED;
}

/** Opens an encrypted payload with one of the keys. @throws NetworkError `CannotDecrypt` */
export function decryptPayload(payload: Uint8Array, contentTopic: string, keys: readonly Uint8Array[]): Uint8Array {
  for (const key of keys) {
    try {
      const nonce = payload.subarray(1, 1 + NONCE_BYTES);
      return xchacha20poly1305(key, nonce, text.encode(contentTopic)).decrypt(payload.subarray(1 + NONCE_BYTES));
    } catch {
      continue; // Not this key: the next one may open it, and if none does the caller is told.
    }
  }
  throw new NetworkError("CannotDecrypt", "no group key opens the message");
}

/** Parses a signed map. @throws NetworkError `Malformed` */
export function parseEnvelope(signedMap: Uint8Array): Envelope {
  try {
    const { m, s } = signedSchema.parse(decode(signedMap));
    return { ...contentSchema.parse(decode(m)), signed: m, signature: s };
  } catch (cause) {
    throw new NetworkError("Malformed", "not a signed message", { cause });
  }
}

/** @throws NetworkError `BadSignature` unless the sender signed this content for this topic (low s only) */
export function verifyEnvelope(envelope: Envelope, contentTopic: string, verify: SignatureVerifier): void {
  const { signature, signed, from } = envelope;
  if (!verify(signature, signedBytes(contentTopic, signed), from))
    throw new NetworkError("BadSignature", "the signature does not fit");
}

/** The signed map of a plain payload. */
export function plainPayload(payload: Uint8Array): Uint8Array {
  return payload.subarray(1);
}
