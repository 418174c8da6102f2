import { beforeEach, expect, test } from "vitest";
import { NetworkError } from "../errors.ts";
import { silent } from "../host/log.ts";
import { createIdentity } from "../identity/identity.ts";
import { createRandom } from "../mutate.ts";
import { createMemoryStore } from "./memory-store.ts";
import { MAX_QUEUED, Outbox } from "./outbox.ts";
import { identityOf } from "../testing.ts";
import { LossyBus, VirtualTimers } from "./testing-bus.ts";
import { JOB, startPeer, watch, type Peer, type World } from "./testing-peers.ts";

const MINUTE = 60_000;
const stranger = createIdentity(new Uint8Array(32).fill(50)).address;
let w: World;
let alice: Peer;
beforeEach(async () => {
  const timers = new VirtualTimers();
  const below = createRandom(1);
  const random = () => below(2 ** 32) / 2 ** 32;
  w = { timers, random, bus: new LossyBus(timers, random, { loss: 0, duplicates: 0, delayMs: [5, 10] }) };
  alice = await startPeer(1, w);
});

const run = (condition: () => boolean, mostMs = MINUTE) => w.timers.runUntil(condition, mostMs);
const bodies = (peer: Peer) => peer.handled.map(({ body }) => body);

test("a recipient that never answers: NotDelivered after the time, and it holds nothing up for the others", async () => {
  const bob = await startPeer(2, w);
  const carol = await startPeer(3, w);
  carol.kill();
  const startMs = w.timers.nowMs();
  const options = { timeoutMs: 20_000 };
  const both = watch(alice.channel.sendToAll([bob.address, carol.address], "m", 1, options));
  const next = watch(alice.channel.send(bob.address, "m", 2, options));
  await run(() => next.done);
  expect(w.timers.nowMs() - startMs).toBeLessThan(1000);
  await run(() => both.done);
  expect(w.timers.nowMs() - startMs).toBeLessThan(20_100);
  expect(both.value).toMatchObject([
    { to: bob.address, receipt: { receiver: bob.address, seq: 1 } },
    { to: carol.address, error: { code: "NotDelivered" } },
  ]);
});

test("what the sender gave up does not block what comes after it", async () => {
  const bob = await startPeer(2, w);
  bob.kill();
  const lost = watch(alice.channel.send(bob.address, "m", "lost", { timeoutMs: 3000 }));
  const kept = watch(alice.channel.send(bob.address, "m", "kept"));
  await run(() => lost.done);
  expect(lost.error).toMatchObject({ code: "NotDelivered" });
  await bob.start();
  await run(() => kept.done);
  expect(bodies(bob)).toEqual(["kept"]);
});

test("a number that is given up while a later one waits at the recipient: it is told to skip it", async () => {
  const bob = await startPeer(2, w);
  await run(() => false, 1000);
  const abort = new AbortController();
  w.bus.faults = { ...w.bus.faults, cut: true };
  const first = watch(alice.channel.send(bob.address, "m", "lost", { signal: abort.signal }));
  await run(() => false, 100);
  w.bus.faults = { ...w.bus.faults, cut: false };
  const second = watch(alice.channel.send(bob.address, "m", "second"));
  await run(() => false, 100);
  expect(bodies(bob), "in order: it waits for the first").toEqual([]);
  abort.abort(new Error("no longer wanted"));
  await run(() => second.done, 1000);
  expect(first.error?.message).toBe("no longer wanted");
  expect(bodies(bob)).toEqual(["second"]);
});

test("a handler that fails is called again for as long as the sender waits; at its word the message is refused", async () => {
  const calls: Record<string, number> = {};
  const bob = await startPeer(2, w, {
    handler: ({ kind }) => {
      calls[kind] = (calls[kind] ?? 0) + 1;
      if (kind === "flaky" && calls[kind] < 3) throw new Error("not yet");
      if (kind === "broken") throw new Error("cannot do this");
      if (kind === "wrong") throw new NetworkError("Rejected", "not for me");
    },
  });
  const sent = ["flaky", "broken", "wrong", "fine"].map((kind) =>
    watch(alice.channel.send(bob.address, kind, 1, kind === "broken" ? { timeoutMs: 20_000 } : {})),
  );
  await run(() => sent.every(({ done }) => done));
  expect(sent.map(({ value, error }) => value?.seq ?? error?.code)).toEqual([1, "NotDelivered", "Rejected", 4]);
  expect(sent[1]!.error!.message, "what went wrong there stays there").not.toContain("cannot do this");
  expect(sent[2]!.error!.message).toContain("not for me");
  expect(calls).toMatchObject({ flaky: 3, wrong: 1, fine: 1 });
  const { broken } = calls;
  await run(() => false, 10 * MINUTE);
  expect(calls.broken, "the sender has given it up").toBe(broken);
});

test("a handler that cannot work for a minute, say because its disk is full, refuses nothing", async () => {
  let full = true;
  const bob = await startPeer(2, w, {
    handler: () => {
      if (full) throw new Error("ENOSPC: no space left, write '/home/bob/heard.cbor'");
    },
  });
  const sent = [1, 2].map((body) => watch(alice.channel.send(bob.address, "m", body)));
  await run(() => false, MINUTE);
  expect(sent.map(({ done }) => done)).toEqual([false, false]);
  full = false;
  await run(() => sent.every(({ done }) => done));
  expect(sent.map(({ value }) => value?.seq)).toEqual([1, 2]);
  expect(bodies(bob)).toEqual([1, 2]);
});

test("a message that cannot be handled is not tried again for a sender that is gone, but is when it is back", async () => {
  let calls = 0;
  let broken = true;
  const bob = await startPeer(2, w, {
    handler: () => {
      calls++;
      if (broken) throw new Error("not now");
    },
  });
  void alice.channel.send(bob.address, "m", 1, { timeoutMs: 60 * MINUTE }).catch(() => undefined);
  await run(() => calls > 0);
  alice.kill();
  await run(() => false, 6 * MINUTE);
  const before = calls;
  await run(() => false, 20 * MINUTE);
  expect(calls).toBe(before);
  broken = false;
  await alice.start();
  await run(() => bob.handled.length === 1);
  await run(() => alice.delivery.counters().waiting === 0);
  expect(alice.delivery.counters().waiting).toBe(0);
});

test("what goes wrong on the own disk is not held against the peer", async () => {
  const bob = await startPeer(2, w);
  const first = watch(alice.channel.send(bob.address, "m", 1));
  await run(() => first.done);
  alice.kill();
  alice.disk = createMemoryStore();
  const { renewOutgoing } = alice.disk;
  let failures = 0;
  alice.disk.renewOutgoing = async (...args) => {
    if (failures++ < 3) throw new Error("disk full");
    return renewOutgoing(...args);
  };
  await alice.start({ clockMs: -3_600_000 });
  const second = watch(alice.channel.send(bob.address, "m", 2));
  await run(() => second.done);
  expect(bodies(bob)).toEqual([1, 2]);
  expect(alice.drops.snapshot()).toEqual({});
});

test("a clock that is set back by two hours stops no repetition", async () => {
  const bob = await startPeer(2, w);
  bob.kill();
  const sent = watch(alice.channel.send(bob.address, "m", 1));
  await run(() => false, 20_000);
  alice.clockMs = -2 * 60 * MINUTE;
  await run(() => false, 20_000);
  // Relays do not help.
  w.bus.forget();
  await bob.start();
  await run(() => sent.done);
  expect(sent.value?.seq).toBe(1);
});

test("recipients that have confirmed everything cost nothing when others are spoken to", async () => {
  const timers = w.timers;
  let looks = 0;
  const isOpen = () => {
    looks++;
    return true;
  };
  const outbox = new Outbox({
    self: alice.address,
    store: createMemoryStore(),
    timers,
    random: w.random,
    log: silent,
    retry: { firstMs: 500, mostMs: 15_000 },
    transmit: async () => 1,
    isOpen,
    hasLeft: () => false,
  });
  const recipientOf = (n: number) => ({ to: identityOf(n).address });
  const many = Array.from({ length: 100 }, (_, i) => recipientOf(100 + i));
  await outbox.accept(JOB, new Uint8Array(1), many, { deadlineMs: timers.nowMs() + 1000 });
  await run(() => outbox.waiting() === 0);
  expect(outbox.waiting()).toBe(0);
  await run(() => false, 1000);
  looks = 0;
  const [outcome] = await outbox.accept(JOB, new Uint8Array(1), [recipientOf(99)], {
    deadlineMs: timers.nowMs() + 1000,
  });
  const last = watch(outcome!);
  await run(() => last.done);
  expect(looks).toBeLessThan(100);
  outbox.stop();
});

test("a slow handler is not sent the message again, and its answer counts", async () => {
  const bob = await startPeer(2, w, { handler: () => w.timers.sleep(30_000) });
  const sent = watch(alice.channel.send(bob.address, "m", 1));
  await run(() => sent.done);
  expect(sent.value?.seq).toBe(1);
  expect(alice.delivery.counters().repeated).toBeLessThanOrEqual(1);
  expect(bodies(bob)).toEqual([1]);
});

test("a member that leaves the job ends the waiting for it", async () => {
  const members = new Set<string>();
  const dan = await startPeer(4, w, { join: { isMember: (address) => members.has(address) } });
  const bob = await startPeer(2, w);
  members.add(bob.address);
  bob.kill();
  const sent = watch(dan.channel.send(bob.address, "m", 1));
  await run(() => false, 3000);
  members.delete(bob.address);
  await run(() => sent.done);
  expect(sent.error).toMatchObject({ code: "NotDelivered", message: expect.stringContaining("member") as string });
});

test("a receiver that was away gets from the relays what it missed, also when the sender is gone by then", async () => {
  const bob = await startPeer(2, w);
  const before = watch(alice.channel.send(bob.address, "m", "before"));
  await run(() => before.done);
  bob.kill();
  await run(() => false, MINUTE);
  for (const body of ["one", "two", "three"]) void alice.channel.send(bob.address, "m", body).catch(() => undefined);
  await run(() => false, MINUTE);
  alice.kill();
  await bob.start();
  await run(() => bob.handled.length === 4);
  expect(bodies(bob)).toEqual(["before", "one", "two", "three"]);
  await alice.start();
  expect(alice.delivery.counters().waiting).toBe(3);
  await run(() => alice.delivery.counters().waiting === 0);
  expect(await alice.delivery.receipts()).toHaveLength(4);
  expect(bodies(bob), "nothing is handled twice").toHaveLength(4);
});

test("a reconnected receiver asks the relays for the time that it was away", async () => {
  const bob = await startPeer(2, w);
  await run(() => false, MINUTE);
  w.bus.faults = { ...w.bus.faults, loss: 0, cut: true };
  void alice.channel.send(bob.address, "m", "missed", { timeoutMs: 2000 }).catch(() => undefined);
  await run(() => false, MINUTE);
  expect(bodies(bob)).toEqual([]);
  w.bus.faults = { ...w.bus.faults, cut: false };
  bob.reconnect();
  await run(() => bob.handled.length > 0);
  expect(bodies(bob)).toEqual(["missed"]);
});

test("a receiver that has lost its disk goes on with what the sender still waits for", async () => {
  const bob = await startPeer(2, w);
  for (const body of [1, 2]) void alice.channel.send(bob.address, "m", body);
  await run(() => alice.delivery.counters().waiting === 0 && bob.handled.length === 2);
  bob.kill();
  bob.disk = createMemoryStore();
  const third = watch(alice.channel.send(bob.address, "m", 3));
  await run(() => false, 2000);
  w.bus.forget();
  await bob.start();
  await run(() => third.done);
  expect(third.value?.seq).toBe(3);
  expect(bodies(bob)).toEqual([1, 2, 3]);
});

test("a sender that has lost its disk, even one whose clock went back, begins again and is heard", async () => {
  const bob = await startPeer(2, w);
  const first = watch(alice.channel.send(bob.address, "m", "first life"));
  await run(() => first.done);
  alice.kill();
  alice.disk = createMemoryStore();
  await alice.start({ clockMs: -3_600_000 });
  const second = watch(alice.channel.send(bob.address, "m", "second life"));
  await run(() => second.done);
  expect(second.value?.session).toBe(first.value!.session + 1);
  expect(bodies(bob)).toEqual(["first life", "second life"]);
});

test("stopping ends the waiting, keeps the messages, and sends them on at the next start", async () => {
  const bob = await startPeer(2, w);
  bob.kill();
  const sent = watch(alice.channel.send(bob.address, "m", 1));
  const sealed = watch(alice.delivery.send(bob.address, "m", 2, { publicKey: bob.identity.publicKey }));
  await run(() => false, 1000);
  await alice.delivery.stop();
  await run(() => sent.done && sealed.done);
  expect([sent.error?.code, sealed.error?.code]).toEqual(["Stopped", "Stopped"]);
  await expect(alice.channel.send(bob.address, "m", 3)).rejects.toMatchObject({ code: "Stopped" });
  await bob.start();
  await alice.start();
  await run(() => bob.handled.length === 2);
  expect(bodies(bob).toSorted()).toEqual([1, 2]);
});

test("what cannot be sent is refused at once, with a reason", async () => {
  const bob = await startPeer(2, w);
  const { publicKey } = bob.identity;
  const codeOf = (promise: Promise<unknown>) => promise.then(String, (error: { code?: string }) => error.code);
  const send = (body: unknown, options = {}) => codeOf(alice.delivery.send(bob.address, "m", body, options));
  expect(await send(new Uint8Array(50_000), { publicKey })).toBe("TooLarge");
  expect(await send({ bad: undefined }, { publicKey })).toBe("BadOption");
  expect(await send(1, { publicKey, timeoutMs: 0 })).toBe("BadOption");
  expect(await codeOf(alice.delivery.send(alice.address, "m", 1, { publicKey: alice.identity.publicKey }))).toBe(
    "BadOption",
  );
  expect(await codeOf(alice.delivery.send(stranger, "m", 1))).toBe("Unreachable");
  expect(await codeOf(alice.delivery.send(stranger, "m", 1, { publicKey }))).toBe("BadOption");
  expect(await codeOf(alice.channel.sendToAll([], "m", 1))).toBe("BadOption");
  bob.kill();
  for (let i = 0; i < MAX_QUEUED; i++) alice.channel.send(bob.address, "m", i).catch(() => undefined);
  expect(await codeOf(alice.channel.send(bob.address, "m", 0))).toBe("QueueFull");
});

test("a message of the largest size arrives, sealed and in a job", async () => {
  const bob = await startPeer(2, w);
  const body = new Uint8Array(48 * 1024 - 40).fill(7);
  const sent = [
    watch(alice.channel.send(bob.address, "m", body)),
    watch(alice.delivery.send(bob.address, "m", body, { publicKey: bob.identity.publicKey })),
  ];
  await run(() => sent.every(({ done }) => done));
  expect(sent.map(({ value }) => value?.seq)).toEqual([1, 1]);
});

test("a disk that is full for a while loses nothing and acknowledges nothing early", async () => {
  const bob = await startPeer(2, w);
  const { addHandled } = bob.disk;
  let full = true;
  bob.disk.addHandled = async (...args) => {
    if (full) throw new Error("disk full");
    return addHandled(...args);
  };
  const sent = watch(alice.channel.send(bob.address, "m", 1));
  await run(() => false, 20_000);
  expect(sent.done).toBe(false);
  full = false;
  await run(() => sent.done);
  expect(sent.value?.seq).toBe(1);
  expect(bodies(bob), "handled once, written later").toEqual([1]);
});

test("a process that dies between its handler and its disk handles the message again, and confirms it once", async () => {
  const bob = await startPeer(2, w);
  const { addHandled } = bob.disk;
  bob.disk.addHandled = () => new Promise(() => undefined);
  const sent = watch(alice.channel.send(bob.address, "m", 1));
  await run(() => bob.handled.length === 1);
  expect(sent.done).toBe(false);
  bob.kill();
  bob.disk.addHandled = addHandled;
  await bob.start();
  await run(() => sent.done);
  expect(bodies(bob)).toEqual([1, 1]);
  expect(await alice.delivery.receipts()).toHaveLength(1);
});

test("a channel that was left takes no messages, and acknowledges what it had handled", async () => {
  const bob = await startPeer(2, w);
  const sent = watch(alice.channel.send(bob.address, "m", 1));
  await run(() => bob.handled.length === 1);
  bob.channel.leave();
  await run(() => sent.done, 100);
  expect(sent.value?.seq).toBe(1);
  await expect(bob.channel.send(alice.address, "m", 1)).rejects.toMatchObject({ code: "Stopped" });
});
