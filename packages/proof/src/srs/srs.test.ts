import fs from "node:fs";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import { decodePoint, GENERATOR, GENERATOR_G2, isPairingProductOne, multiply, negate } from "../field/curve.ts";
import { Q } from "../field/fr.ts";
import { randomIntegers } from "../testing.ts";
import { createDevelopmentString } from "./development.ts";
import { importPtau, type PtauSource } from "./ptau.ts";
import {
  assertUsable,
  decodeReferenceString,
  encodeReferenceString,
  prefixOf,
  type ReferenceString,
} from "./reference-string.ts";

const integers = randomIntegers(5);
const random = (bytes: number) => Uint8Array.from({ length: bytes }, () => integers(0, 255));
const pointOf = (string: ReferenceString, i: number) => decodePoint(string.encoded.subarray(64 * i, 64 * i + 64));

/** Whether all points are powers of the tau in the second group, one pairing each. */
function consistent(string: ReferenceString): boolean {
  for (let i = 0; i + 1 < string.length; i++) {
    const pairs = [
      { g1: pointOf(string, i + 1), g2: GENERATOR_G2 },
      { g1: negate(pointOf(string, i)), g2: string.g2Tau },
    ];
    if (!isPairingProductOne(pairs)) return false;
  }
  return true;
}

const small = await createDevelopmentString({ blockBits: 4 });

test("a development string holds powers of tau", async () => {
  expect(pointOf(small, 0)).toEqual(GENERATOR);
  expect(consistent(small)).toBe(true);
  expect(small).toMatchObject({ blockBits: 4, length: 16, origin: "development", insecure: true });
  const other = await createDevelopmentString({ blockBits: 4, tau: { random } });
  expect(consistent(other)).toBe(true);
  expect(other.hash).not.toBe(small.hash);
});

test("tau follows from the seed as documented, and known powers come out", async () => {
  // A source of 64 bytes that stand for 3.
  const three = await createDevelopmentString({
    blockBits: 6,
    tau: { random: (bytes) => new Uint8Array(bytes).fill(3, bytes - 1) },
  });
  for (const i of [0, 1, 2, 40, 63]) expect(pointOf(three, i)).toEqual(multiply(GENERATOR, 3n ** BigInt(i)));
});

test("all nodes of a development chain make the same string", async () => {
  // A change of this hash changes the address of every verifier on development chains.
  expect(small.hash).toBe("0xed220bb9ceaccfc9736e97b038361ecef5777a078ea5f409e7620242eb625c03");
  expect((await createDevelopmentString({ blockBits: 4 })).hash).toBe(small.hash);
});

test("a prefix is the string of the smaller size", async () => {
  const larger = await createDevelopmentString({ blockBits: 11 });
  expect(prefixOf(larger, 4)).toEqual(small);
  expect(prefixOf(larger, 11)).toBe(larger);
  const error = expect.objectContaining({ code: "BadReferenceString" });
  expect(() => prefixOf(small, 5)).toThrow(error);
  expect(() => prefixOf(small, 0)).toThrow(error);
  await expect(createDevelopmentString({ blockBits: 17 })).rejects.toThrow(error);
});

test("strings go through files; damaged files are refused", async () => {
  const bytes = encodeReferenceString(small);
  expect(await decodeReferenceString(bytes)).toEqual(small);
  const error = expect.objectContaining({ code: "BadReferenceString" });
  for (const length of [0, 7, 100, bytes.length - 1])
    await expect(decodeReferenceString(bytes.subarray(0, length))).rejects.toThrow(error);
  await expect(decodeReferenceString(Uint8Array.from([...bytes, 0]))).rejects.toThrow(error);
  for (let i = 0; i < 60; i++) {
    const damaged = bytes.slice();
    const at = i < 12 ? i : integers(0, bytes.length - 1);
    damaged[at]! ^= 1 << integers(0, 7);
    // The byte of the origin may become the other origin: it says where the string comes from and is not hashed.
    if (at === 10) continue;
    await expect(decodeReferenceString(damaged), `byte ${at}`).rejects.toThrow(error);
  }
});

test("insecure strings stay on development chains", () => {
  expect(() => assertUsable(small, 31337)).not.toThrow();
  for (const chain of [1, 84532, 42161n])
    expect(() => assertUsable(small, chain)).toThrow(expect.objectContaining({ code: "InsecureReferenceString" }));
  expect(() => assertUsable({ insecure: false }, 1)).not.toThrow();
});

const file = new Uint8Array(fs.readFileSync(path.join(import.meta.dirname, "../../fixtures/powers-of-tau-6.ptau")));

const sourceOf = (bytes: Uint8Array): PtauSource => ({
  size: bytes.length,
  read: async (offset, length) => {
    if (offset + length > bytes.length) throw new Error("read outside the file");
    return bytes.slice(offset, offset + length);
  },
});

const load = (bytes: Uint8Array, blockBits = 5) => importPtau(sourceOf(bytes), { blockBits, random });

/** Where the data of each section starts, and where its head. */
function sectionsOf(bytes: Uint8Array): Map<number, { head: number; data: number; size: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const sections = new Map<number, { head: number; data: number; size: number }>();
  for (let head = 12; head < bytes.length;) {
    const size = Number(view.getBigUint64(head + 4, true));
    sections.set(view.getUint32(head, true), { head, data: head + 12, size });
    head += 12 + size;
  }
  return sections;
}

const sections = sectionsOf(file);

function changed(change: (bytes: Uint8Array, view: DataView) => void): Uint8Array {
  const bytes = file.slice();
  change(bytes, new DataView(bytes.buffer));
  return bytes;
}

test("a ceremony's file becomes a string", async () => {
  const string = await load(file);
  expect(consistent(string)).toBe(true);
  expect(string).toMatchObject({ blockBits: 5, length: 32, origin: "ptau", insecure: false });
  expect(await decodeReferenceString(encodeReferenceString(string))).toEqual(string);
  expect((await load(file, 6)).length).toBe(64);
  expect(prefixOf(await load(file, 6), 5)).toEqual(string);
});

const g1 = sections.get(2)!.data;
const g2 = sections.get(3)!.data;

test.for([
  [
    "two points that are swapped",
    (bytes: Uint8Array) => {
      const third = bytes.slice(g1 + 128, g1 + 192);
      bytes.copyWithin(g1 + 128, g1 + 192, g1 + 256);
      bytes.set(third, g1 + 192);
    },
    /consecutive powers/,
  ],
  [
    "a last point that is another power",
    (bytes: Uint8Array) => bytes.copyWithin(g1 + 64 * 31, g1 + 64 * 30, g1 + 64 * 31),
    /consecutive powers/,
  ],
  ["a point that is infinity", (bytes: Uint8Array) => bytes.fill(0, g1 + 64 * 3, g1 + 64 * 4), /consecutive powers/],
  [
    "a point off the curve",
    (bytes: Uint8Array) => {
      bytes[g1 + 64 * 7]! ^= 1;
    },
    /point 7 .* not on the curve/,
  ],
  [
    "a coordinate that is not reduced",
    (bytes: Uint8Array) => bytes.fill(255, g1 + 64 * 9, g1 + 64 * 9 + 32),
    /point 9 .* not below/,
  ],
  [
    "another first point",
    (bytes: Uint8Array) => bytes.copyWithin(g1, g1 + 64, g1 + 128),
    /not the generator of the first/,
  ],
  [
    "another first point of the second group",
    (bytes: Uint8Array) => bytes.copyWithin(g2, g2 + 128, g2 + 256),
    /second group is not the generator/,
  ],
  [
    "another tau in the second group",
    (bytes: Uint8Array) => bytes.copyWithin(g2 + 128, g2 + 256, g2 + 384),
    /consecutive powers/,
  ],
  ["tau = 0 in the second group", (bytes: Uint8Array) => bytes.fill(0, g2 + 128, g2 + 256), /infinity, off the curve/],
  [
    "a point off the second curve",
    (bytes: Uint8Array) => {
      bytes[g2 + 128]! ^= 1;
    },
    /off the curve/,
  ],
  [
    "a coordinate of the second group that is not reduced",
    (bytes: Uint8Array) => bytes.fill(255, g2 + 128, g2 + 160),
    /not below/,
  ],
  [
    "another field",
    (bytes: Uint8Array) => {
      bytes[sections.get(1)!.data + 4]! ^= 1;
    },
    /BN254/,
  ],
  [
    "another length of the prime",
    (_: Uint8Array, view: DataView) => view.setUint32(sections.get(1)!.data, 48, true),
    /BN254/,
  ],
  [
    "a power that does not fit the sections",
    (_: Uint8Array, view: DataView) => view.setUint32(sections.get(1)!.data + 36, 7, true),
    /size/,
  ],
  [
    "an absurd power",
    (_: Uint8Array, view: DataView) => view.setUint32(sections.get(1)!.data + 36, 2 ** 31, true),
    /power/,
  ],
  ["an unknown version", (_: Uint8Array, view: DataView) => view.setUint32(4, 2, true), /version/],
  ["too many sections", (_: Uint8Array, view: DataView) => view.setUint32(8, 2 ** 32 - 1, true), /sections/],
  [
    "a section that comes twice",
    (_: Uint8Array, view: DataView) => view.setUint32(sections.get(4)!.head, 2, true),
    /twice/,
  ],
  [
    "a missing header",
    (_: Uint8Array, view: DataView) => view.setUint32(sections.get(1)!.head, 99, true),
    /section 1 .* missing/,
  ],
  [
    "missing points",
    (_: Uint8Array, view: DataView) => view.setUint32(sections.get(2)!.head, 99, true),
    /section 2 .* missing/,
  ],
  [
    "a section beyond the file",
    (_: Uint8Array, view: DataView) => view.setBigUint64(sections.get(3)!.head + 4, 2n ** 63n, true),
    /truncated/,
  ],
  [
    "another magic",
    (bytes: Uint8Array) => {
      bytes[0]! ^= 1;
    },
    /not a .ptau/,
  ],
] as const)("%s is refused", async ([, change, message]) => {
  const error = await load(changed(change)).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: "BadPtau", message: expect.stringMatching(message) });
});

test("truncated and too small files are refused", async () => {
  for (const length of [0, 3, 12, 20, 100, 5000, file.length - 1])
    await expect(load(file.slice(0, length))).rejects.toMatchObject({ code: "BadPtau" });
  await expect(load(file, 7)).rejects.toMatchObject({ code: "BadPtau", message: expect.stringMatching(/fewer/) });
});

test("the highest coordinates are told apart from the modulus", async () => {
  const withX = (value: bigint) =>
    changed((bytes) => {
      for (let i = 0; i < 32; i++) bytes[g1 + 64 * 2 + i] = Number((value >> BigInt(8 * i)) & 255n);
    });
  await expect(load(withX(Q))).rejects.toThrow(/not below/);
  await expect(load(withX(Q - 1n))).rejects.toThrow(/not on the curve/);
});

describe("files that lie about their origin", () => {
  it("keeps the public development string insecure, whatever its file says", async () => {
    const string = await createDevelopmentString({ blockBits: 3 });
    const relabelled = { ...string, origin: "ptau" as const };
    const decoded = await decodeReferenceString(encodeReferenceString(relabelled));
    expect(decoded.insecure).toBe(true);
    expect(() => assertUsable(decoded, 1)).toThrow("development reference string");
  });

  it("refuses a file whose origin was changed, or whose points are no powers", async () => {
    const string = await createDevelopmentString({ blockBits: 3 });
    const flipped = encodeReferenceString(string);
    flipped[10] = 1;
    await expect(decodeReferenceString(flipped)).rejects.toMatchObject({ code: "BadReferenceString" });
    const other = await createDevelopmentString({ blockBits: 3, tau: { seed: "another" } });
    const mixed = encodeReferenceString({ ...string, g2Tau: other.g2Tau });
    await expect(decodeReferenceString(mixed)).rejects.toMatchObject({ code: "BadReferenceString" });
  });
});
