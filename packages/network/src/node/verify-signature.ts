// Signatures of messages by OpenSSL: a fifth of the time that JavaScript needs.
import { createPublicKey, getCurves, getHashes, verify, type KeyObject } from "node:crypto";
import { concatBytes, fromHex } from "@skynet/protocol";
import { createPortableVerifier, type SignatureVerifier } from "../identity/verify-signature.ts";

/** SubjectPublicKeyInfo (RFC 5480) of a compressed point of secp256k1, before the point. */
const KEY_PREFIX = fromHex("0x3036301006072a8648ce3d020106052b8104000a032200");
/** Half of the group's order, rounded down (SEC 2, 2.4.1). */
const HALF_ORDER = fromHex("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
const HASH = "keccak-256";
/** Keys of recent senders; one is about 1 KiB. */
const MAX_KEYS = 1024;

/** Falls back to JavaScript where OpenSSL was built without Keccak (before 3.2) or without the curve. */
export function createVerifier(): SignatureVerifier {
  if (!getHashes().includes(HASH) || !getCurves().includes("secp256k1")) return createPortableVerifier();
  const keys = new Map<string, KeyObject>();
  const keyOf = (point: Uint8Array): KeyObject => {
    const name = Buffer.from(point).toString("latin1");
    const known = keys.get(name);
    if (known !== undefined) return known;
    const key = createPublicKey({ key: Buffer.from(concatBytes(KEY_PREFIX, point)), format: "der", type: "spki" });
    if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value!);
    keys.set(name, key);
    return key;
  };
  return (signature, message, publicKey) => {
    if (signature.length !== 64 || publicKey.length !== 33) return false;
    if (Buffer.compare(signature.subarray(32), HALF_ORDER) > 0) return false;
    try {
      return verify(HASH, message, { key: keyOf(publicKey), dsaEncoding: "ieee-p1363" }, signature);
    } catch {
      return false; // The key is not a point.
    }
  };
}
