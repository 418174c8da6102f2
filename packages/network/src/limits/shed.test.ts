import { expect, test } from "vitest";
import { shed } from "./shed.ts";

const MIB = 2 ** 20;
const held = (group: string, count: number, bytes: number) => Array.from({ length: count }, () => ({ group, bytes }));

test("nothing is ended while all hold no more than they may", () => {
  expect(shed([...held("a", 4, MIB), ...held("b", 1, 4 * MIB)], 8 * MIB)).toEqual([]);
  expect(shed([], 0)).toEqual([]);
});

test("many connections of few addresses pay before one larger connection of another", () => {
  const crowd = ["a", "b", "c", "d"].flatMap((group) => held(group, 64, MIB - 1));
  const honest = { group: "honest", bytes: 1.5 * MIB };
  const ended = shed([honest, ...crowd], 256 * MIB);
  expect(ended).toHaveLength(2);
  expect(ended).not.toContain(honest);
});

test("of a group the largest connections are ended, and no more than needed", () => {
  const group = [3, 1, 5, 2].map((bytes) => ({ group: "a", bytes }));
  expect(shed([...group, { group: "b", bytes: 4 }], 10)).toEqual([{ group: "a", bytes: 5 }]);
  expect(shed([...group, { group: "b", bytes: 4 }], 4).map(({ bytes }) => bytes)).toEqual([5, 3, 4]);
});
