import { expect, test } from "vitest";
import { untilAborted } from "../timing/until-aborted.ts";
import { firstOf, type Attempt } from "./first-of.ts";

const never = new Promise<string>(() => undefined);
const answers = (text: string) => async () => text;
const attempt = (run: Attempt<string>["run"]): Attempt<string> => ({ run, headStartMs: 10, timeoutMs: 60_000 });

test("the first success wins; who is silent gets a head start only", async () => {
  const { signal } = new AbortController();
  const ways = [attempt(() => never), attempt(answers("second")), attempt(answers("third"))];
  await expect(firstOf(ways, signal)).resolves.toBe("second");
  const failing = attempt(() => Promise.reject(new Error("closed")));
  await expect(firstOf([failing, failing], signal)).rejects.toThrow("no way leads to the peer");
  await expect(firstOf([], signal)).rejects.toThrow("no way is known");
});

test("after the signal no other attempt begins, and nothing is left that fails unheard", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  try {
    const stop = new AbortController();
    let begun = 0;
    const listening = { ...attempt((signal) => (begun++, untilAborted(never, signal))), headStartMs: 60_000 };
    const outcome = firstOf([listening, listening, listening], stop.signal);
    stop.abort(new Error("the deadline passed"));
    await expect(outcome).rejects.toThrow("the deadline passed");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(begun).toBe(1);
    await expect(firstOf([], stop.signal)).rejects.toThrow("the deadline passed");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
  }
});
