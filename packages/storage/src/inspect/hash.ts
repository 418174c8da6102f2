/** 64 bits as two unsigned halves. Not for security: only to tell values apart and to count them. */
export interface Hash64 {
  high: number;
  low: number;
}

/**
 * Mixes 32-bit words into a {@link Hash64}: two lanes with the multipliers and the finalizer of MurmurHash3
 * (https://github.com/aappleby/smhasher, public domain), which cross at the end. Order matters.
 */
export class Hasher {
  #a = 0;
  #b = 0;

  reset(seed = 0): this {
    this.#a = 0xdeadbeef ^ seed;
    this.#b = 0x41c6ce57 ^ seed;
    return this;
  }

  word(word: number): this {
    this.#a = Math.imul(this.#a ^ word, 0x9e3779b1);
    this.#b = Math.imul(this.#b ^ word, 0x5f356495);
    this.#a ^= this.#a >>> 15;
    this.#b ^= this.#b >>> 13;
    return this;
  }

  text(text: string): this {
    let [a, b] = [this.#a, this.#b];
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      a = Math.imul(a ^ code, 0x9e3779b1);
      b = Math.imul(b ^ code, 0x5f356495);
      a ^= a >>> 15;
      b ^= b >>> 13;
    }
    [this.#a, this.#b] = [a, b];
    return this.word(text.length);
  }

  number(value: number): this {
    floats[0] = value;
    return this.word(words[0]!).word(words[1]!);
  }

  digest(): Hash64 {
    const a = finalize(this.#a ^ Math.imul(this.#b, 0x85ebca6b));
    return { high: a, low: finalize(this.#b ^ Math.imul(a, 0xc2b2ae35)) };
  }
}

const floats = new Float64Array(1);
const words = new Int32Array(floats.buffer);

function finalize(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
