// Fair delivery of a key through the Catalog: the buyer names B = bG, the seller answers with R = rG and the key under
// the hash of rB = bR.
import { CURVE_ORDER, GENERATOR, isInfinity, isOnCurve, multiplySecret } from "@skynet/proof";
import type { Point } from "@skynet/proof";
import { concatBytes, fromHex, InvalidInputError, keccak256, toHex, word } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";

const KEY_BYTES = 32;
/** 128 bits more than the order make the bias of a reduction negligible (RFC 9380, section 5). */
const WIDE_BYTES = 48;

/**
 * A secret of one purchase, the buyer's b or the seller's r, from 1 to the order of the group less 1. It is used for one
 * order only: a complaint reveals it.
 * @param random fills as many bytes as asked from a cryptographic generator
 */
export function createDeliverySecret(random: (count: number) => Uint8Array): bigint {
  return 1n + (BigInt(toHex(random(WIDE_BYTES))) % (CURVE_ORDER - 1n));
}

/** The point of a secret: B = bG, or R = rG. */
export function deliveryPoint(secret: bigint): Point {
  return multiplySecret(GENERATOR, secret);
}

/** What a listing publishes of its key. @throws InvalidInputError `BadKey` */
export function keyCommitOf(key: Uint8Array): Hex {
  return toHex(keccak256(requireKey(key)));
}

/**
 * The seller's answer to an order.
 * @param secret a fresh r
 * @throws InvalidInputError `BadKey`, or `BadPoint` for a buyer's point that is not on the curve
 */
export function sealKey(key: Uint8Array, B: Point, secret: bigint): { readonly R: Point; readonly sealedKey: Hex } {
  return { R: deliveryPoint(secret), sealedKey: toHex(xor(requireKey(key), padOf(B, secret))) };
}

/**
 * The key that a delivery carries, right or wrong: compare its `keyCommitOf` with the listing's.
 * @param secret the buyer's b
 * @throws InvalidInputError `BadKey`, `BadPoint`
 */
export function openKey({ R, sealedKey }: { readonly R: Point; readonly sealedKey: Hex }, secret: bigint): Uint8Array {
  return xor(requireKey(fromHex(sealedKey)), padOf(R, secret));
}

function requireKey(key: Uint8Array): Uint8Array {
  if (key.length !== KEY_BYTES) throw new InvalidInputError("BadKey", `a key has 32 bytes, not ${key.length}`);
  return key;
}

/** keccak256 of the shared point. */
function padOf(point: Point, secret: bigint): Uint8Array {
  if (isInfinity(point) || !isOnCurve(point))
    throw new InvalidInputError("BadPoint", "the other side's point is not on the curve");
  const { x, y } = multiplySecret(point, secret);
  return keccak256(concatBytes(word(x), word(y)));
}

const xor = (a: Uint8Array, b: Uint8Array) => a.map((byte, i) => byte ^ b[i]!);
