/** Unsigned 32-bit integers from a seed (xorshift32, Marsaglia 2003): reproducible, not secret. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A copy of `bytes` with one to four random changes: flipped bits, other bytes, cut, inserted, repeated parts. */
export function mutate(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  let out = Uint8Array.from(bytes);
  for (let changes = 1 + random(4); changes > 0; changes--) out = mutateOnce(out, random);
  return out;
}

function mutateOnce(bytes: Uint8Array<ArrayBuffer>, random: (below: number) => number): Uint8Array<ArrayBuffer> {
  if (bytes.length === 0) return Uint8Array.of(random(256));
  const at = random(bytes.length);
  const end = at + random(Math.min(64, bytes.length - at) + 1);
  switch (random(6)) {
    case 0:
      return bytes.with(at, bytes[at]! ^ (1 << random(8)));
    case 1:
      return bytes.with(at, random(256));
    case 2:
      return bytes.slice(0, at);
    case 3:
      return Uint8Array.from([...bytes.subarray(0, at), random(256), ...bytes.subarray(at)]);
    case 4:
      return Uint8Array.from([...bytes.subarray(0, end), ...bytes.subarray(at)]);
    default:
      return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(end)]);
  }
}
