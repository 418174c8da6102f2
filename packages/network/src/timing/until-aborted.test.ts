import { afterEach, beforeEach, expect, test } from "vitest";
import { untilAborted } from "./until-aborted.ts";

const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);
beforeEach(() => void process.on("unhandledRejection", note));
afterEach(() => {
  process.off("unhandledRejection", note);
  unhandled.length = 0;
});

/** Node tells of unhandled rejections before the next turn of its loop. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

test("the result comes, or the reason of whichever fails first", async () => {
  const { signal } = new AbortController();
  await expect(untilAborted(Promise.resolve(1), signal)).resolves.toBe(1);
  await expect(untilAborted(Promise.resolve(1), undefined)).resolves.toBe(1);
  await expect(untilAborted(Promise.reject(new Error("broken")), signal)).rejects.toThrow("broken");
  await expect(untilAborted(Promise.resolve(1), AbortSignal.abort(new Error("stopped")))).rejects.toThrow("stopped");
});

test("what fails after the abort, before it, or because of it, ends no process", async () => {
  for (const abortFirst of [true, false]) {
    const stop = new AbortController();
    const { promise, reject } = Promise.withResolvers<void>();
    if (abortFirst) stop.abort(new Error("stopped"));
    const waiting = expect(untilAborted(promise, stop.signal)).rejects.toThrow("stopped");
    stop.abort(new Error("stopped"));
    await waiting;
    reject(new Error("too late"));
    await turn();
  }
  const aborted = AbortSignal.abort(new Error("stopped"));
  await expect(untilAborted(Promise.reject(aborted.reason), aborted)).rejects.toThrow("stopped");
  await turn();
  expect(unhandled).toEqual([]);
});
