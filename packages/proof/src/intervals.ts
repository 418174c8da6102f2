/** Limbs of a weight have 15 bits (and a sign in the upper one): see kernels/matrix.ts. */
const LIMB_LIMIT = 2 ** 15;

/**
 * How many terms of (operand within `limit`) x (limb) a 32-bit sum takes before it must spill into 64 bits; a multiple
 * of 8. The cap keeps one chunk of all operands in the first-level cache.
 */
export function spillLength(limit: number): number {
  const terms = Math.floor((2 ** 31 - 1) / (limit * LIMB_LIMIT));
  return Math.min(Math.floor(terms / 8) * 8, 504);
}

/** The next multiple of 8: kernels know no remainders. */
export const padded = (size: number): number => Math.ceil(size / 8) * 8;
