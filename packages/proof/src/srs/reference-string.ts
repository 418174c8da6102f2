// The reference string of the commitments: powers of a secret tau in the exponent (Kate, Zaverucha, Goldberg,
// "Constant-size commitments to polynomials and their applications", 2010). Who knows tau can open a commitment to
// anything; no one may.
import { concatBytes, equalBytes, fromHex, type Hex, keccak256, toHex } from "@skynet/protocol";
import { DataError, ProofError } from "../errors.ts";
import { encodePoint, GENERATOR, isValidG2, type PointG2, POINT_BYTES, readWord, writeWord } from "../field/curve.ts";
import type { KernelSource } from "../kernels.ts";
import { instantiateProofKernels } from "../vectors/kernels.ts";
import { Multiexp } from "../vectors/multiexp.ts";
import { decodePoints, POINT_WORDS, reverseCoordinates } from "../vectors/points.ts";

import { arePowers } from "./powers.ts";
import { isDevelopmentTau } from "./tau.ts";

/** Where a string comes from: made on one machine, or by a ceremony of many (a .ptau file). */
export type Origin = "development" | "ptau";

export interface ReferenceString {
  /** log2 of the number of points. */
  readonly blockBits: number;
  /** Number of points. */
  readonly length: number;
  /** tau^i times the generator, i < length, in kernel form: 18 words each. */
  readonly points: Uint32Array<ArrayBuffer>;
  /** The same points, 64 bytes each: x, y big-endian. */
  readonly encoded: Uint8Array<ArrayBuffer>;
  /** tau times the generator of the second group. */
  readonly g2Tau: PointG2;
  /** keccak256 of a tag, `blockBits`, all points, and `g2Tau`. */
  readonly hash: Hex;
  readonly origin: Origin;
  /** Someone knows tau or could know it: proofs can be forged. */
  readonly insecure: boolean;
}

/** Most points: 2^16, as a proof's block. */
export const MOST_BLOCK_BITS = 16;

/** The chain whose tokens are worth nothing. */
const DEVELOPMENT_CHAIN = 31337;

const utf8 = new TextEncoder();
const HASH_TAG = utf8.encode("skynet/1/srs");
const MAGIC = utf8.encode("SKYNSRS\0");
const VERSION = 1;
const G2_BYTES = 128;
const origins: readonly Origin[] = ["development", "ptau"];

/** Bytes before the points: magic, version, blockBits, origin, hash, g2Tau. */
const HEADER_BYTES = MAGIC.length + 3 + 32 + G2_BYTES;

/** Coordinates in the order of EIP-197: imaginary part first. */
function encodeG2({ x, y }: PointG2): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(G2_BYTES);
  [x.c1, x.c0, y.c1, y.c0].forEach((value, i) => writeWord(bytes, 32 * i, value));
  return bytes;
}

function decodeG2(bytes: Uint8Array): PointG2 {
  const [x1, x0, y1, y0] = [0, 1, 2, 3].map((i) => readWord(bytes, 32 * i)) as [bigint, bigint, bigint, bigint];
  return { x: { c0: x0, c1: x1 }, y: { c0: y0, c1: y1 } };
}

/** A string from its parts, whose correctness the caller has checked. */
export function assemble(parts: Omit<ReferenceString, "hash" | "insecure" | "blockBits" | "length">): ReferenceString {
  const length = parts.points.length / POINT_WORDS;
  const blockBits = Math.log2(length);
  const hash = keccak256(HASH_TAG, Uint8Array.of(blockBits), parts.encoded, encodeG2(parts.g2Tau));
  const insecure = parts.origin === "development" || isDevelopmentTau(parts.g2Tau);
  return { ...parts, blockBits, length, hash: toHex(hash), insecure };
}

/**
 * The string of the first 2^blockBits points.
 * @throws DataError `BadReferenceString` when this string is shorter
 */
export function prefixOf(string: ReferenceString, blockBits: number): ReferenceString {
  requireBlockBits(blockBits);
  if (blockBits > string.blockBits)
    throw new DataError(
      "BadReferenceString",
      `a string of 2^${string.blockBits} points has no prefix of 2^${blockBits}`,
      { hint: "Import a larger one: npx skynet srs import FILE.ptau --size N" },
    );
  if (blockBits === string.blockBits) return string;
  const { g2Tau, origin } = string;
  const points = string.points.slice(0, POINT_WORDS * 2 ** blockBits);
  return assemble({ points, encoded: string.encoded.slice(0, POINT_BYTES * 2 ** blockBits), g2Tau, origin });
}

/** @throws DataError `BadReferenceString` */
export function requireBlockBits(blockBits: number): void {
  if (!Number.isInteger(blockBits) || blockBits < 1 || blockBits > MOST_BLOCK_BITS)
    throw new DataError("BadReferenceString", `a reference string has 2^1 to 2^${MOST_BLOCK_BITS} points`);
}

/**
 * Refuses insecure strings outside development chains.
 * @throws ProofError `InsecureReferenceString`
 */
export function assertUsable({ insecure }: Pick<ReferenceString, "insecure">, chainId: number | bigint): void {
  if (insecure && BigInt(chainId) !== BigInt(DEVELOPMENT_CHAIN))
    throw new ProofError("InsecureReferenceString", `a development reference string on chain ${chainId}`, {
      hint: "Its secret may be known, so proofs can be forged. Use one of a ceremony: npx skynet srs import FILE.ptau",
    });
}

/** The file form: header, then the points. */
export function encodeReferenceString(string: ReferenceString): Uint8Array<ArrayBuffer> {
  const { blockBits, origin, encoded, g2Tau } = string;
  const start = Uint8Array.of(VERSION, blockBits, origins.indexOf(origin));
  return new Uint8Array(concatBytes(MAGIC, start, checksum(string), encodeG2(g2Tau), encoded));
}

/** Over everything that the file says, its origin included. */
const checksum = ({ hash, origin }: ReferenceString): Uint8Array =>
  keccak256(fromHex(hash), Uint8Array.of(origins.indexOf(origin)));

function bad(message: string): DataError {
  return new DataError("BadReferenceString", message, {
    hint: "Copy the file again, or make it again with: npx skynet srs create (or import)",
  });
}

/** Web Crypto gives at most 65,536 bytes at a time. */
function randomBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/**
 * Reads the file form. All points are checked to be on the curve and, by pairings, to be powers of the number in `g2Tau`. A
 * string that somebody made at random and calls a ceremony's cannot be told from one: compare its hash.
 * @throws DataError `BadReferenceString`
 */
export async function decodeReferenceString(
  bytes: Uint8Array,
  options: { kernels?: KernelSource } = {},
): Promise<ReferenceString> {
  if (bytes.length < HEADER_BYTES || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC))
    throw bad("not a reference string of SkyNet");
  const [version, blockBits, originIndex] = bytes.subarray(MAGIC.length) as unknown as [number, number, number];
  if (version !== VERSION) throw bad(`a reference string of version ${version}, not ${VERSION}`);
  requireBlockBits(blockBits);
  const origin = origins[originIndex];
  if (origin === undefined) throw bad("the reference string has an unknown origin");
  const wanted = HEADER_BYTES + POINT_BYTES * 2 ** blockBits;
  if (bytes.length !== wanted) throw bad(`the reference string has ${bytes.length} bytes, not ${wanted}`);

  const g2Tau = decodeG2(bytes.subarray(HEADER_BYTES - G2_BYTES, HEADER_BYTES));
  if (!isValidG2(g2Tau)) throw bad("the reference string's point of the second group is not valid");
  const encoded = bytes.slice(HEADER_BYTES);
  const instance = await instantiateProofKernels(options.kernels);
  const points = decodePoints(instance, reverseCoordinates(encoded), "plain");
  if (!(points instanceof Uint32Array)) throw bad(`point ${points.index} of the reference string: ${points.problem}`);
  const string = assemble({ points, encoded, g2Tau, origin });
  const stored = bytes.subarray(MAGIC.length + 3, MAGIC.length + 3 + 32);
  if (!equalBytes(checksum(string), stored)) throw bad("the reference string does not have the hash that it states");
  const starts = equalBytes(encoded.subarray(0, POINT_BYTES), encodePoint(GENERATOR));
  if (!starts || !arePowers(new Multiexp(instance, points), string.length, g2Tau, randomBytes))
    throw bad("the points of the reference string are not the powers of one number");
  return string;
}
