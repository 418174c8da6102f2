// Randomness of hiding proofs. Two proofs with the same pads would reveal the difference of what they hide, so that every
// seed is used once.
import { shake256 } from "@noble/hashes/sha3.js";
import { concatBytes, keccak256, toHex } from "@skynet/protocol";
import { ProofError } from "../errors.ts";
import { readWord } from "../field/curve.ts";
import { P } from "../field/fr.ts";

/** Fills as many bytes as asked from a cryptographic generator. */
export type RandomBytes = (count: number) => Uint8Array;

export const systemRandom: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

const SEED_BYTES = 32;
/** RFC 9380, section 5: 128 bits more than the modulus make the bias of a reduction negligible. */
const WIDE_BYTES = 48;

const text = new TextEncoder();

/** Hashes of the seeds that this process has used. */
const used = new Set<string>();

/**
 * Randomness from a fresh seed.
 * @throws ProofError `RepeatedRandomness` when the generator gives a seed that this process has used before
 */
export function freshRandomness(random: RandomBytes, purpose: readonly Uint8Array[]): Randomness {
  const seed = random(SEED_BYTES);
  const name = toHex(keccak256(text.encode("skynet/1/used seed"), seed));
  if (seed.length !== SEED_BYTES || used.has(name))
    throw new ProofError(
      "RepeatedRandomness",
      "the random generator repeats itself: a proof would not hide its secrets",
      {
        hint: "Use the system's generator.",
      },
    );
  used.add(name);
  return new Randomness(seed, purpose);
}

/**
 * A stream of uniform field elements. Its key is a seed together with what it is used for: should a generator repeat
 * itself where nobody notices (a copied machine), then other statements still get other pads.
 */
export class Randomness {
  readonly #stream: ReturnType<typeof shake256.create>;
  readonly #name: string;
  #drawn = 0;

  /** @param purpose what the randomness is for, for example the statement of a proof */
  constructor(seed: Uint8Array, purpose: readonly Uint8Array[]) {
    const key = concatBytes(text.encode("skynet/1/randomness"), seed, ...purpose);
    this.#stream = shake256.create().update(key);
    this.#name = toHex(keccak256(text.encode("skynet/1/stream"), key));
  }

  /** Names the stream and how far it is read, and tells nothing of it. */
  get place(): string {
    return `${this.#name}/${this.#drawn}`;
  }

  /** Uniform elements of a prime field. */
  scalars(count: number, modulus: bigint = P): bigint[] {
    this.#drawn += count;
    const bytes = this.#stream.xof(WIDE_BYTES * count);
    return Array.from({ length: count }, (_, i) => {
      const high = readWord(bytes, WIDE_BYTES * i);
      let low = 0n;
      for (let k = 32; k < WIDE_BYTES; k++) low = (low << 8n) | BigInt(bytes[WIDE_BYTES * i + k]!);
      return ((high << 128n) | low) % modulus;
    });
  }
}
