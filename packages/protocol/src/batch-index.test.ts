import { expect, test } from "vitest";
import { batchIndex } from "./batch-index.ts";
import { fromHex, keccak256, toHex, type Hex } from "./bytes.ts";

const seed = `0x${"11".repeat(32)}` as Hex;
const worker = "0x00112233445566778899aabbccddeeff00112233" as Hex;

test("a batch index is the packed keccak256 modulo the number of batches", () => {
  const packed = fromHex(`${seed}${worker.slice(2)}0102${"03040506"}`);
  const expected = Number(BigInt(toHex(keccak256(packed))) % 469n);
  expect(batchIndex(seed, worker, 0x0102, 0x03040506, 469)).toBe(expected);
});

test("batch indices are spread over all batches and differ between workers", () => {
  const drawn = Array.from({ length: 2000 }, (_, step) => batchIndex(seed, worker, 1, step, 16));
  expect(new Set(drawn).size).toBe(16);
  const other = Array.from({ length: 2000 }, (_, step) => batchIndex(seed, `0x${"22".repeat(20)}`, 1, step, 16));
  expect(other).not.toEqual(drawn);
});

test.each([
  ["a short seed", () => batchIndex("0x11", worker, 0, 0, 4), "BadHex"],
  ["a short address", () => batchIndex(seed, "0x11", 0, 0, 4), "BadHex"],
  ["a round above 16 bits", () => batchIndex(seed, worker, 65536, 0, 4), "BadIndex"],
  ["a negative step", () => batchIndex(seed, worker, 0, -1, 4), "BadIndex"],
  ["no batches", () => batchIndex(seed, worker, 0, 0, 0), "BadIndex"],
])("%s is refused", (_name, run, code) => {
  expect(run).toThrow(expect.objectContaining({ code }));
});
