import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import { systemRandom, type RandomBytes } from "./group-key.ts";
import { compressed, type Identity } from "./identity.ts";

const EPHEMERAL_BYTES = 33;
/** What sealing adds. */
export const SEAL_BYTES = EPHEMERAL_BYTES + 16;

/**
 * Encrypts to the owner of a public key (ECIES: ephemeral secp256k1 Diffie-Hellman, HKDF-SHA256, XChaCha20-Poly1305).
 * Opens only with the same `context`. Layout: ephemeral compressed public key 33, ciphertext, tag 16.
 * @throws NetworkError `BadKey`
 */
export function sealTo(
  plain: Uint8Array,
  recipientPublicKey: Uint8Array,
  context: string,
  random: RandomBytes = systemRandom,
): Uint8Array {
  const recipient = compressed(recipientPublicKey);
  const ephemeral = secp256k1.keygen(random(48));
  const shared = secp256k1.getSharedSecret(ephemeral.secretKey, recipient, true);
  return concatBytes(ephemeral.publicKey, cipherFor(shared, ephemeral.publicKey, recipient, context).encrypt(plain));
}

/** @throws NetworkError `CannotDecrypt` when it was sealed to somebody else, in another context, or was changed */
export function openSealed(sealed: Uint8Array, identity: Identity, context: string): Uint8Array {
  try {
    const ephemeral = sealed.subarray(0, EPHEMERAL_BYTES);
    const shared = secp256k1.getSharedSecret(identity.privateKey, ephemeral, true);
    return cipherFor(shared, ephemeral, identity.compressedPublicKey, context).decrypt(
      sealed.subarray(EPHEMERAL_BYTES),
    );
  } catch (cause) {
    throw new NetworkError("CannotDecrypt", "the message does not open with this node's key", { cause });
  }
}

/** The shared secret is used once, so key and nonce both come from it. */
function cipherFor(shared: Uint8Array, ephemeral: Uint8Array, recipient: Uint8Array, context: string) {
  const info = new TextEncoder().encode(`skynet/1/sealed/${context}`);
  const okm = hkdf(sha256, shared, concatBytes(ephemeral, recipient), info, 56);
  return xchacha20poly1305(okm.subarray(0, 32), okm.subarray(32), info);
}
