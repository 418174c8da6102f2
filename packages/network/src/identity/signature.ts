import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concatBytes } from "@skynet/protocol";

/** Signature as Solidity's ecrecover takes it: r 32, s 32 (low), v 27 or 28. */
export function signRecoverable(digest: Uint8Array, privateKey: Uint8Array): Uint8Array {
  const [recovery, ...rest] = secp256k1.sign(digest, privateKey, { prehash: false, format: "recovered" });
  return concatBytes(Uint8Array.from(rest), Uint8Array.of(27 + recovery!));
}

/** Compressed public key that made the signature; undefined when there is none. */
export function recoverSigner(digest: Uint8Array, signature: Uint8Array): Uint8Array | undefined {
  const v = signature[64];
  if (signature.length !== 65 || (v !== 27 && v !== 28)) return undefined;
  try {
    const parsed = secp256k1.Signature.fromBytes(signature.subarray(0, 64), "compact");
    if (parsed.hasHighS()) return undefined;
    return parsed
      .addRecoveryBit(v - 27)
      .recoverPublicKey(digest)
      .toBytes(true);
  } catch {
    return undefined;
  }
}
