// Reads the powers of tau of a .ptau file, the format of snarkjs (https://github.com/iden3/snarkjs, src/powersoftau_utils.js;
// container: https://github.com/iden3/binfileutils). All numbers are little-endian:
//   "ptau", u32 version, u32 number of sections; each section: u32 type, u64 bytes, data.
//   Section 1: u32 bytes of q, q, u32 power, u32 power of the ceremony.
//   Section 2: tau^i in the first group, i < 2^(power + 1) - 1; section 3: tau^i in the second group, i < 2^power.
// Coordinates are in Montgomery form with R = 2^256.
import { equalBytes } from "@skynet/protocol";
import { DataError } from "../errors.ts";
import { encodePoint, GENERATOR, GENERATOR_G2, isValidG2, POINT_BYTES, type PointG2 } from "../field/curve.ts";
import { inverse, Q } from "../field/fr.ts";
import type { KernelSource } from "../kernels.ts";
import { instantiateProofKernels } from "../vectors/kernels.ts";
import { Multiexp } from "../vectors/multiexp.ts";
import { decodePoints, encodePoints, reverseCoordinates } from "../vectors/points.ts";
import { arePowers } from "./powers.ts";
import { assemble, type ReferenceString, requireBlockBits } from "./reference-string.ts";

/** A file of which parts are read: ceremonies' files have up to hundreds of gigabytes. */
export interface PtauSource {
  readonly size: number;
  /** The `length` bytes from `offset` on; both lie inside the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface PtauOptions {
  /** log2 of the number of points to take. */
  readonly blockBits: number;
  /** Random bytes for the check of the powers; the file's author must not be able to predict them. */
  readonly random: (bytes: number) => Uint8Array;
  readonly kernels?: KernelSource;
  readonly signal?: AbortSignal;
}

const HEADER = 1;
const TAU_G1 = 2;
const TAU_G2 = 3;
const HEADER_BYTES = 44;
const G2_BYTES = 128;
/** Ceremonies for BN254 stop at 2^28: its field has no larger roots of unity. */
const MOST_POWER = 28;
/** A prepared file has 11. */
const MOST_SECTIONS = 64;
const R256_INVERSE = inverse(1n << 256n, Q);

interface Section {
  readonly offset: number;
  readonly size: number;
}

function bad(message: string, hint?: string): DataError {
  return new DataError("BadPtau", message, {
    hint: hint ?? "Download the file again, and compare its hash with the ceremony's.",
  });
}

/**
 * Takes the first 2^blockBits powers of a .ptau file and checks all of them: on the curve, starting with the generators,
 * and consecutive powers of one tau other than 0. That nobody knows tau is the ceremony's claim; it cannot be checked.
 * @throws DataError `BadPtau`, `BadReferenceString`, `BadKernels`; ProofError `OutOfMemory`; the signal's reason
 */
export async function importPtau(source: PtauSource, options: PtauOptions): Promise<ReferenceString> {
  requireBlockBits(options.blockBits);
  const length = 2 ** options.blockBits;
  const sections = await readSections(source);
  const power = await readHeader(source, section(sections, HEADER));
  if (power < options.blockBits)
    throw bad(
      `the file has powers for 2^${power} points, fewer than 2^${options.blockBits}`,
      "Use the file of a larger power, or a smaller --size.",
    );
  const [g1, g2] = [section(sections, TAU_G1), section(sections, TAU_G2)];
  if (g1.size !== (2 ** (power + 1) - 1) * POINT_BYTES || g2.size !== 2 ** power * G2_BYTES)
    throw bad("a section of points does not have the size that the file's power needs");

  options.signal?.throwIfAborted();
  const g2Tau = decodeG2Powers(await source.read(g2.offset, 2 * G2_BYTES));
  const instance = await instantiateProofKernels(options.kernels);
  const points = decodePoints(instance, await source.read(g1.offset, length * POINT_BYTES), "montgomery256");
  if (!(points instanceof Uint32Array)) throw bad(`point ${points.index} of the first group: ${points.problem}`);
  const encoded = reverseCoordinates(encodePoints(instance, points));
  if (!equalBytes(encoded.subarray(0, POINT_BYTES), encodePoint(GENERATOR)))
    throw bad("the first point is not the generator of the first group");
  options.signal?.throwIfAborted();
  const multiexp = new Multiexp(instance, points);
  if (!arePowers(multiexp, length, g2Tau, options.random))
    throw bad("the points are not consecutive powers of one tau");
  return assemble({ points, encoded, g2Tau, origin: "ptau" });
}

async function readSections(source: PtauSource): Promise<Map<number, Section>> {
  const start = await readExactly(source, 0, 12);
  if (String.fromCharCode(...new Uint8Array(start.buffer, start.byteOffset, 4)) !== "ptau")
    throw bad("not a .ptau file");
  if (start.getUint32(4, true) !== 1) throw bad(`a .ptau file of version ${start.getUint32(4, true)}, not 1`);
  const count = start.getUint32(8, true);
  if (count > MOST_SECTIONS) throw bad(`a .ptau file with ${count} sections`);
  const sections = new Map<number, Section>();
  let offset = 12;
  for (let i = 0; i < count; i++) {
    const head = await readExactly(source, offset, 12);
    const type = head.getUint32(0, true);
    const bytes = head.getBigUint64(4, true);
    offset += 12;
    if (bytes > BigInt(source.size - offset)) throw bad("the .ptau file is truncated");
    if (sections.has(type)) throw bad(`section ${type} of the .ptau file comes twice`);
    sections.set(type, { offset, size: Number(bytes) });
    offset += Number(bytes);
  }
  return sections;
}

async function readExactly(source: PtauSource, offset: number, length: number): Promise<DataView> {
  if (offset + length > source.size) throw bad("the .ptau file is truncated");
  const bytes = await source.read(offset, length);
  return new DataView(bytes.buffer, bytes.byteOffset, length);
}

function section(sections: ReadonlyMap<number, Section>, type: number): Section {
  const found = sections.get(type);
  if (found === undefined) throw bad(`section ${type} of the .ptau file is missing`);
  return found;
}

/** Checks the field; returns the power. */
async function readHeader(source: PtauSource, { offset, size }: Section): Promise<number> {
  if (size !== HEADER_BYTES) throw bad("the header is not that of a field of 32 bytes");
  const view = await readExactly(source, offset, size);
  if (view.getUint32(0, true) !== 32 || littleEndian(view, 4) !== Q)
    throw bad("the powers are not on the curve BN254", "Use a file for bn128, which is BN254's name there.");
  const power = view.getUint32(36, true);
  if (power < 1 || power > MOST_POWER) throw bad(`a power of ${power}`);
  return power;
}

function littleEndian(view: DataView, offset: number): bigint {
  let value = 0n;
  for (let i = 3; i >= 0; i--) value = (value << 64n) | view.getBigUint64(offset + 8 * i, true);
  return value;
}

/** The first two points of the second group: checks the generator, returns tau times it. */
function decodeG2Powers(bytes: Uint8Array): PointG2 {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 2 * G2_BYTES);
  const coordinates = Array.from({ length: 8 }, (_, i) => {
    const value = littleEndian(view, 32 * i);
    if (value >= Q) throw bad("a coordinate of the second group is not below the field's modulus");
    return (value * R256_INVERSE) % Q;
  });
  const [first, second] = [0, 4].map((i) => {
    const [x0, x1, y0, y1] = coordinates.slice(i, i + 4) as [bigint, bigint, bigint, bigint];
    return { x: { c0: x0, c1: x1 }, y: { c0: y0, c1: y1 } };
  }) as [PointG2, PointG2];
  const { x, y } = GENERATOR_G2;
  if (first.x.c0 !== x.c0 || first.x.c1 !== x.c1 || first.y.c0 !== y.c0 || first.y.c1 !== y.c1)
    throw bad("the first point of the second group is not the generator");
  if (!isValidG2(second)) throw bad("tau in the second group is infinity, off the curve, or outside the subgroup");
  return second;
}
