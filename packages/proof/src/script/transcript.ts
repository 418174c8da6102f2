import { keccak256, word } from "@skynet/protocol";
import { P } from "../field/fr.ts";

/** Big-endian value of bytes. */
export function unword(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

/**
 * Fiat-Shamir with keccak256. Absorbing hashes state and words, at least 64 bytes; drawing hashes the state alone, 32
 * bytes: the lengths separate the two. A challenge is the new state modulo p, so every scalar has its own hash.
 */
export class Transcript {
  #state: Uint8Array;

  constructor(key: Uint8Array) {
    this.#state = key;
  }

  absorb(words: readonly bigint[]): void {
    if (words.length > 0) this.#state = keccak256(this.#state, ...words.map(word));
  }

  draw(): bigint {
    this.#state = keccak256(this.#state);
    return unword(this.#state) % P;
  }
}
