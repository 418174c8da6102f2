// Reference strings for development: made on one machine, so whoever ran this could know tau.

import { GENERATOR, GENERATOR_G2, multiply, multiplyG2 } from "../field/curve.ts";
import { P } from "../field/fr.ts";
import type { KernelSource } from "../kernels.ts";
import { instantiateProofKernels, type ProofInstance } from "../vectors/kernels.ts";
import { Stack } from "../vectors/memory.ts";
import { decodePoints, encodePoints, kernelPoints, POINT_WORDS, reverseCoordinates } from "../vectors/points.ts";
import { DEVELOPMENT_SEED, tauOfBytes, tauOfSeed } from "./tau.ts";
import { assemble, type ReferenceString, requireBlockBits } from "./reference-string.ts";

export interface DevelopmentOptions {
  /** log2 of the number of points. */
  readonly blockBits: number;
  /** A public seed, or a source of random bytes for a tau that is used once and stored nowhere. */
  readonly tau?: { readonly seed: string } | { readonly random: (bytes: number) => Uint8Array };
  readonly kernels?: KernelSource;
  /** Points made so far, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Digits of 8 bits: 32 windows of 128 multiples. */
const WINDOWS = 32;
const WINDOW_BITS = 8;
const MULTIPLES = 128;

/** Points per call of the kernel. */
const CHUNK = 1024;

/**
 * Makes a development string; it is marked insecure. The default tau comes from `DEVELOPMENT_SEED`.
 * @throws DataError `BadReferenceString`, `BadKernels`; ProofError `OutOfMemory`; the signal's reason
 */
export async function createDevelopmentString(options: DevelopmentOptions): Promise<ReferenceString> {
  requireBlockBits(options.blockBits);
  const length = 2 ** options.blockBits;
  const tau = chooseTau(options.tau ?? { seed: DEVELOPMENT_SEED });
  const instance = await instantiateProofKernels(options.kernels);
  const stack = new Stack(instance);
  const table = makeTable(instance, stack);
  const points = new Uint32Array(length * POINT_WORDS);
  let power = 1n;
  for (let done = 0; done < length; done += CHUNK) {
    options.signal?.throwIfAborted();
    const n = Math.min(CHUNK, length - done);
    const scalars = new BigUint64Array(4 * n);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < 4; k++) scalars[4 * i + k] = power >> BigInt(64 * k);
      power = (power * tau) % P;
    }
    points.set(multiples(instance, stack, table, scalars), done * POINT_WORDS);
    options.onProgress?.(done + n, length);
    await new Promise((resolve) => setTimeout(resolve));
  }
  const coordinates = encodePoints(instance, points);
  // Read back, they have the one representation below the modulus that files give, too.
  const reduced = decodePoints(instance, coordinates, "plain") as Uint32Array<ArrayBuffer>;
  return assemble({
    points: reduced,
    encoded: reverseCoordinates(coordinates),
    g2Tau: multiplyG2(GENERATOR_G2, tau),
    origin: "development",
  });
}

/** A tau whose distance from uniform is below 2^-256; 0 is as likely as any other value, so it never comes. */
function chooseTau(source: NonNullable<DevelopmentOptions["tau"]>): bigint {
  if ("seed" in source) return tauOfSeed(source.seed);
  const bytes = source.random(64).slice();
  const tau = tauOfBytes(bytes);
  bytes.fill(0);
  return tau;
}

/** Multiples 1 ... 128 of 2^(8w) times the generator, for each window w; returns their address. */
function makeTable({ kernels }: ProofInstance, stack: Stack): number {
  const table = stack.allocate(WINDOWS * MULTIPLES * POINT_WORDS * 4);
  const words = new Uint32Array(stack.buffer, table, WINDOWS * MULTIPLES * POINT_WORDS);
  for (let w = 0; w < WINDOWS; w++) {
    const base = multiply(GENERATOR, 1n << BigInt(WINDOW_BITS * w));
    words.set(kernelPoints([base]), w * MULTIPLES * POINT_WORDS);
  }
  kernels.multiplesTable(table, WINDOWS);
  return table;
}

/** k times the generator in kernel form, for each scalar k of 4 words of 64 bits. */
function multiples(
  { kernels }: ProofInstance,
  stack: Stack,
  table: number,
  scalars: BigUint64Array,
): Uint32Array<ArrayBuffer> {
  const mark = stack.mark();
  const n = scalars.length / 4;
  const source = stack.allocate(scalars.byteLength);
  const windows = stack.allocate(12 * WINDOWS);
  const digits = stack.allocate(4 * n * WINDOWS);
  const points = stack.allocate(4 * n * POINT_WORDS);
  const scratch = stack.allocate(kernels.multiplesBytes(n, WINDOWS));
  new BigUint64Array(stack.buffer, source, scalars.length).set(scalars);
  const plan = new Uint32Array(stack.buffer, windows, 3 * WINDOWS);
  for (let w = 0; w < WINDOWS; w++) plan.set([WINDOW_BITS * w, WINDOW_BITS], 3 * w);
  kernels.wordDigits(digits, source, n, windows, WINDOWS);
  kernels.multiples(points, table, digits, n, WINDOWS, scratch);
  const result = new Uint32Array(stack.buffer, points, n * POINT_WORDS).slice();
  // The powers of tau do not stay in memory. (BigInts cannot be wiped: one more reason why the string is insecure.)
  new Uint8Array(stack.buffer, mark, stack.mark() - mark).fill(0);
  stack.release(mark);
  return result;
}
