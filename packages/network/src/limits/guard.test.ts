import { expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import { identityOf } from "../testing.ts";
import { attacks } from "../testing-hostile/attacks.ts";
import type { Limits } from "./limits.ts";

/** A relay, and so many peers of one address that send frames of 4 GiB until each of them is refused. */
async function besieged(changes: Partial<Limits>): Promise<Host> {
  const relay = await createHost({
    identity: identityOf(99),
    relayService: true,
    role: "relay",
    limits: { banAt: 25, ...changes },
  });
  const ending = new AbortController();
  const attackers = Array.from({ length: relay.limits.bannedPeersPerAddress }, (_, number) =>
    attacks["a multiplexer frame of 4 GiB"]!.run({
      relay: relay.multiaddrs()[0]!,
      number,
      from: "127.0.0.1",
      signal: ending.signal,
    }),
  );
  const banned = () => relay.scores().filter(({ bannedUntilMs }) => bannedUntilMs !== undefined).length;
  await expect.poll(banned, { timeout: 30_000 }).toBe(attackers.length);
  ending.abort();
  await Promise.all(attackers);
  return relay;
}

/** Whether a node that nobody knows, from the same address, may come in within so many milliseconds. */
async function takesNewcomers(relay: Host, timeout: number): Promise<boolean> {
  const newcomer = await createHost({ identity: identityOf(1), listen: [] });
  try {
    await newcomer.dial(relay.multiaddrs()[0]!);
    await expect.poll(() => [newcomer.peers().length, relay.peers().length], { timeout }).toEqual([1, 1]);
    return true;
  } catch {
    return false;
  } finally {
    await newcomer.stop();
  }
}

test("behind a proxy on the same machine, peers that break the multiplexer's rules do not shut out the others", async () => {
  const relay = await besieged({ exemptLoopback: true });
  expect(await takesNewcomers(relay, 30_000)).toBe(true);
  await relay.stop();
});

test("without a proxy, strangers from an address with several such peers are refused", async () => {
  const relay = await besieged({ exemptLoopback: false });
  expect(await takesNewcomers(relay, 2000)).toBe(false);
  await relay.stop();
});
