import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createReplayGuard } from "./replay-window.ts";

test("each number of a stream is accepted once, in any order within 1024 of the highest", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 5000, max: 9000 }), { maxLength: 200 }), (numbers) => {
      const guard = createReplayGuard();
      const seen = new Set<number>();
      let highest = 0;
      for (const seq of numbers) {
        const fresh = !seen.has(seq) && seq > highest - 1024;
        expect(guard.seen("a", seq)).toBe(seen.size > 0 && !fresh);
        expect(guard.accept("a", seq)).toBe(seen.size === 0 || fresh);
        if (seen.size === 0 || fresh) seen.add(seq);
        highest = Math.max(highest, seq);
      }
    }),
    { seed: 1, numRuns: 500 },
  );
});

test("streams are independent, and only the longest silent one is forgotten", () => {
  const guard = createReplayGuard(2);
  for (const stream of ["a", "b", "a", "c"])
    guard.accept(stream, stream === "a" ? 10 + Number(guard.accept("a", 5)) : 5);
  expect(guard.accept("c", 5)).toBe(false);
  expect(guard.accept("a", 5)).toBe(false);
});

test("a number out of a history is accepted once, however old it is", () => {
  const guard = createReplayGuard();
  guard.accept("a", 1_000_000);
  expect(guard.accept("a", 7)).toBe(false);
  expect(guard.acceptOld("a", 7)).toBe(true);
  expect(guard.acceptOld("a", 7)).toBe(false);
  expect(guard.acceptOld("a", 999_999)).toBe(true);
  expect(guard.accept("a", 999_999)).toBe(false);
  expect(guard.acceptOld("b", 3)).toBe(true);
  expect(guard.accept("b", 3)).toBe(false);
});
