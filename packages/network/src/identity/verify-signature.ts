import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak256 } from "@skynet/protocol";

/**
 * Whether an ECDSA signature (r 32, s 32, low s only) of the Keccak-256 of a message was made with the key of a
 * compressed public key (33 bytes). Never throws.
 */
export type SignatureVerifier = (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean;

/** In JavaScript: about a millisecond. */
export const createPortableVerifier = (): SignatureVerifier => (signature, message, publicKey) => {
  try {
    return secp256k1.verify(signature, keccak256(message), publicKey, { prehash: false, lowS: true });
  } catch {
    return false; // The key is not a point or the signature is out of range.
  }
};
