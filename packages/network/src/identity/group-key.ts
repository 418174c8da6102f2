import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import { addressFromPublicKey, compressed, type Identity } from "./identity.ts";

const KEY_BYTES = 32;
const WRAPPED_BYTES = 33 + KEY_BYTES + 16;
const text = new TextEncoder();

/** Random bytes; the default is the platform's generator. */
export type RandomBytes = (length: number) => Uint8Array;

export const systemRandom: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

/** A new group key of a job: 32 random bytes. */
export function createGroupKey(random: RandomBytes = systemRandom): Uint8Array {
  return random(KEY_BYTES);
}

/**
 * Encrypts a 32-byte group key to the owner of `recipientPublicKey` (ECIES: ephemeral secp256k1 Diffie-Hellman,
 * HKDF-SHA256, XChaCha20-Poly1305). Opens only for that recipient and with the same `context`, the job's id.
 * Layout, 81 bytes: ephemeral compressed public key 33, ciphertext and tag 48.
 * @throws NetworkError `BadKey`
 */
export function wrapKey(
  groupKey: Uint8Array,
  recipientPublicKey: Uint8Array,
  context: string,
  random: RandomBytes = systemRandom,
): Uint8Array {
  if (groupKey.length !== KEY_BYTES) throw new NetworkError("BadKey", "a group key has 32 bytes");
  const recipient = compressed(recipientPublicKey);
  const ephemeral = secp256k1.keygen(random(48));
  const shared = secp256k1.getSharedSecret(ephemeral.secretKey, recipient, true);
  const cipher = cipherFor(shared, ephemeral.publicKey, recipient, context);
  return concatBytes(ephemeral.publicKey, cipher.encrypt(groupKey));
}

/** @throws NetworkError `CannotDecrypt` when the key was wrapped for somebody else, another job, or was changed */
export function unwrapKey(wrapped: Uint8Array, identity: Identity, context: string): Uint8Array {
  try {
    if (wrapped.length !== WRAPPED_BYTES)
      throw new NetworkError("Malformed", `a wrapped key has ${WRAPPED_BYTES} bytes`);
    const ephemeral = wrapped.subarray(0, 33);
    const shared = secp256k1.getSharedSecret(identity.privateKey, ephemeral, true);
    const cipher = cipherFor(shared, ephemeral, identity.compressedPublicKey, context);
    return cipher.decrypt(wrapped.subarray(33));
  } catch (cause) {
    throw new NetworkError("CannotDecrypt", "the wrapped group key does not open with this node's key", {
      cause,
      hint: "it was wrapped for another node or another job",
    });
  }
}

/** The shared secret is used once, so key and nonce both come from it. */
function cipherFor(shared: Uint8Array, ephemeral: Uint8Array, recipient: Uint8Array, context: string) {
  const info = text.encode(`skynet/1/group-key/${context}/${addressFromPublicKey(recipient)}`);
  const okm = hkdf(sha256, shared, concatBytes(ephemeral, recipient), info, 56);
  return xchacha20poly1305(okm.subarray(0, 32), okm.subarray(32), info);
}
