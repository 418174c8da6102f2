import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { afterEach, expect, test } from "vitest";

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

interface Answer {
  multiaddrs: string[];
  receipts: number;
  failures: string[];
  causes: string[];
  received: number;
  done: number[];
  dropped: Record<string, number>;
}

async function answerOf(child: ChildProcess): Promise<Answer> {
  const [answer] = (await once(child, "message")) as [Answer];
  return answer;
}

async function start(...args: string[]): Promise<{ child: ChildProcess; multiaddrs: string[] }> {
  const child = fork(path.join(import.meta.dirname, "testing-process.ts"), args, { execArgv: [] });
  children.push(child);
  return { child, multiaddrs: (await answerOf(child)).multiaddrs };
}

function ask(child: ChildProcess, command: string): Promise<Answer> {
  const answer = answerOf(child);
  child.send(command);
  return answer;
}

test("a relay, three assigned workers and a stranger, each in its own process", async () => {
  const relay = await start("relay", "9");
  const nodes = await Promise.all(
    [1, 2, 3]
      .map((n) => start("worker", String(n), relay.multiaddrs[0]!))
      .concat(start("stranger", "4", relay.multiaddrs[0]!)),
  );
  const trained = await Promise.all(nodes.map(({ child }) => ask(child, "train")));
  for (const { receipts, failures } of trained.slice(0, 3))
    expect({ receipts, failures }).toEqual({ receipts: 2, failures: [] });
  expect(trained[3]).toMatchObject({ receipts: 0, failures: ["NotDelivered", "NotDelivered", "NotDelivered"] });
  for (const cause of trained[3]!.causes) expect(cause).toContain("not assigned");
  const reports = () => Promise.all(nodes.map(({ child }) => ask(child, "report")));
  const heard = async () =>
    (await reports()).map(({ done, dropped }) => [done, dropped.unencrypted ?? 0, dropped.notForUs ?? 0]);
  await expect.poll(heard, { timeout: 30_000 }).toEqual([
    [[2, 3], 1, 0],
    [[1, 3], 1, 0],
    [[1, 2], 1, 0],
    [[], 0, 3],
  ]);
  const last = await reports();
  expect(last.map(({ received }) => received)).toEqual([2, 2, 2, 0]);
  for (const { dropped } of last.slice(0, 3)) expect(dropped.refusedUpdate).toBeGreaterThan(0);
  const all = [relay, ...nodes].map(async ({ child }) => {
    const ended = once(child, "exit");
    child.send("stop");
    const [code] = (await ended) as [number];
    return code;
  });
  expect(await Promise.all(all)).toEqual([0, 0, 0, 0, 0]);
});
