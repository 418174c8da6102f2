import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes } from "@skynet/protocol";

/**
 * Unsigned 32-bit integers from a seed: the big-endian words of sha256(seed, counter as 64-bit big-endian integer) for
 * counter = 0, 1, ... Integers only, so every machine draws the same ones.
 */
export function createWords(seed: Uint8Array): () => number {
  let block = new DataView(new ArrayBuffer(0));
  let offset = 0;
  let counter = 0n;
  return () => {
    if (offset === block.byteLength) {
      const count = new Uint8Array(8);
      new DataView(count.buffer).setBigUint64(0, counter++);
      const digest = sha256(concatBytes(seed, count));
      block = new DataView(digest.buffer as ArrayBuffer, digest.byteOffset, digest.byteLength);
      offset = 0;
    }
    offset += 4;
    return block.getUint32(offset - 4);
  };
}

/** Uniform integer in [0, bound) for bound <= 2^32: words at or above the largest multiple of `bound` are drawn again. */
export function below(bound: number, words: () => number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const value = words();
    if (value < limit) return value % bound;
  }
}

/** Permutation of 0 ... count - 1 by Fisher and Yates (from the end, Durstenfeld 1964), the same for the same seed. */
export function shuffledOrder(count: number, seed: Uint8Array): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const words = createWords(seed);
  for (let i = count - 1; i > 0; i--) {
    const j = below(i + 1, words);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
