/** Small deterministic generator (mulberry32). @returns whole numbers below a bound */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Block number n, up to 96 KiB. */
export function seededBlock(n: number): Uint8Array {
  const random = createRandom(n + 1);
  const words = Uint32Array.from({ length: 1 + random(24 * 1024) }, () => random(2 ** 32));
  return new Uint8Array(words.buffer);
}
