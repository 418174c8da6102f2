import { expect, it } from "vitest";
import { remoteFuzzers as fuzzers } from "./fuzz.ts";

it("uploads go on after SIGKILL at any moment: no noted part twice, the content right", async () => {
  expect((await fuzzers["upload-crashes"]({ count: 2, seed: 5 })).kills).toBe(2);
});

it("wrong answers of services end with a named error, and nothing false is written", async () => {
  const outcomes = await fuzzers["remote-answers"]({ count: 150, seed: 7 });
  expect(outcomes.BadAnswer).toBeGreaterThan(20);
  expect(outcomes.ok).toBeGreaterThan(5);
});
