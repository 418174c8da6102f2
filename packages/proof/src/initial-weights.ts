import { keccak256, word } from "@skynet/protocol";
import { DataError } from "./errors.ts";
import type { IntegerProgram } from "./program.ts";

const DOMAIN = new TextEncoder().encode("skynet/1/initial-weights");

/** Largest integer whose square is at most n. */
function squareRoot(n: bigint): bigint {
  if (n < 2n) return n;
  let x = 1n << BigInt((n.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/**
 * floor(2^scale sqrt(6 / fan)), where fan is the number of inputs for hidden layers (He et al. 2015, uniform) and of
 * inputs and outputs for the last one (Glorot and Bengio 2010).
 */
export function initialLimit(inputs: number, outputs: number, hidden: boolean, scale: number): number {
  const fan = hidden ? inputs : inputs + outputs;
  return Number(squareRoot((6n << BigInt(2 * scale)) / BigInt(fan)));
}

/**
 * Initial weights from a seed of 32 bytes, the same on every machine: integers only. Word i of layer l is the 32-bit
 * big-endian word i mod 8 of keccak256(domain, seed, word(l), word(i div 8)); a weight is floor(word (2m + 1) / 2^32) - m
 * with m = `initialLimit`, in row-major order; biases are 0.
 * @returns one tensor [inputs + 1, outputs] per layer
 * @throws DataError `BadSeed`
 */
export function initialWeights(program: IntegerProgram, seed: Uint8Array): Int32Array[] {
  if (!(seed instanceof Uint8Array) || seed.length !== 32)
    throw new DataError("BadSeed", "the seed is not 32 bytes long");
  return program.layers.map(({ inputs, outputs, relu, weightScale }, layer) => {
    const limit = initialLimit(inputs, outputs, relu, weightScale);
    const choices = 2 * limit + 1;
    const tensor = new Int32Array((inputs + 1) * outputs);
    const count = inputs * outputs;
    for (let i = 0; i < count; i += 8) {
      const block = keccak256(DOMAIN, seed, word(layer), word(i / 8));
      for (let j = 0; j < 8 && i + j < count; j++) {
        const high = block[4 * j]! * 256 + block[4 * j + 1]!;
        const low = block[4 * j + 2]! * 256 + block[4 * j + 3]!;
        // floor((high 2^16 + low) choices / 2^32) without leaving 53 bits
        const scaled = high * choices + Math.floor((low * choices) / 65536);
        tensor[i + j] = Math.floor(scaled / 65536) - limit;
      }
    }
    return tensor;
  });
}
