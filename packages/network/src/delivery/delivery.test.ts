import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom } from "../mutate.ts";
import { verifyDeliveryReceipt } from "./receipt.ts";
import { LossyBus, VirtualTimers, type BusFaults } from "./testing-bus.ts";
import { JOB, startPeer, watch, type World } from "./testing-peers.ts";

const CALM: BusFaults = { loss: 0, duplicates: 0, delayMs: [5, 10] };
const STORM: BusFaults = { loss: 0.2, duplicates: 0.05, delayMs: [5, 80] };
const MINUTE = 60_000;

function world(faults: BusFaults = CALM, seed = 1): World {
  const timers = new VirtualTimers();
  const below = createRandom(seed);
  const random = () => below(2 ** 32) / 2 ** 32;
  return { timers, random, bus: new LossyBus(timers, random, faults) };
}

test("a message is handled, and its receipt proves by itself who got what as which number of whom", async () => {
  const w = world();
  const [alice, bob] = [await startPeer(1, w), await startPeer(2, w)];
  const sent = watch(alice.delivery.send(bob.address, "hello", { n: 1 }, { publicKey: bob.identity.publicKey }));
  expect(await w.timers.runUntil(() => sent.done, MINUTE)).toBe(true);
  expect(bob.handled).toMatchObject([{ from: alice.address, kind: "hello", body: { n: 1 }, job: null, seq: 1 }]);
  const receipt = verifyDeliveryReceipt(sent.value);
  expect(receipt).toMatchObject({ sender: alice.address, receiver: bob.address, seq: 1, job: null });
  expect(await alice.delivery.receipts()).toEqual([{ receipt, atMs: expect.any(Number) as number }]);
});

test("one copy on the wire reaches several members, each gives its own receipt", async () => {
  const w = world();
  const [alice, bob, carol] = [await startPeer(1, w), await startPeer(2, w), await startPeer(3, w)];
  const sent = watch(alice.channel.sendToAll([bob.address, carol.address], "ready", "yes"));
  await w.timers.runUntil(() => sent.done, MINUTE);
  expect(sent.value!.map((it) => "receipt" in it && it.receipt.receiver)).toEqual([bob.address, carol.address]);
  expect(alice.delivery.counters()).toMatchObject({ sent: 1, repeated: 0 });
  expect([bob, carol].map(({ handled }) => handled.length)).toEqual([1, 1]);
});

test("500 messages at 20 % loss arrive once each, in order, with a receipt for each", async () => {
  const w = world(STORM);
  const peers = [await startPeer(1, w), await startPeer(2, w), await startPeer(3, w)];
  const receipts = new Set<string>();
  let settled = 0;
  const perPair = 84;
  for (let i = 0; i < perPair; i++)
    for (const from of peers)
      for (const to of peers)
        if (from !== to)
          void from.channel.send(to.address, "count", i).then((receipt) => {
            settled++;
            receipts.add(`${receipt.sender} ${receipt.receiver} ${receipt.seq}`);
          });
  expect(await w.timers.runUntil(() => settled === 6 * perPair, 10 * MINUTE)).toBe(true);
  expect(receipts.size).toBe(6 * perPair);
  for (const peer of peers)
    for (const other of peers)
      if (peer !== other) {
        const bodies = peer.handled.filter(({ from }) => from === other.address).map(({ body }) => body);
        expect(bodies).toEqual(Array.from({ length: perPair }, (_, i) => i));
      }
});

test("whatever is lost, repeated, overtaken and restarted: one call of the handler and one receipt for each message", async () => {
  const event = fc.record({
    node: fc.nat(2),
    what: fc.constantFrom("send", "send", "send", "all", "sealed", "kill", "pause", "pause"),
    ms: fc.nat(3000),
  });
  const faults = fc.record({
    loss: fc.integer({ min: 0, max: 50 }).map((it) => it / 100),
    duplicates: fc.integer({ min: 0, max: 30 }).map((it) => it / 100),
    delayMs: fc.tuple(fc.nat(20), fc.integer({ min: 20, max: 1500 })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40 }), faults, fc.nat(), async (events, f, seed) => {
      const w = world(f, seed);
      const peers = [await startPeer(1, w), await startPeer(2, w), await startPeer(3, w)];
      const expected: string[] = [];
      let number = 0;
      for (const { node, what, ms } of events) {
        const peer = peers[node]!;
        const others = peers.filter((other) => other !== peer);
        const body = number++;
        const to = what === "all" ? others : [others[body % 2]!];
        if (what === "kill") {
          peer.kill();
          await w.timers.runUntil(() => false, ms);
          await peer.start();
        } else if (what === "pause") await w.timers.runUntil(() => false, ms);
        else {
          const ignore = () => undefined;
          const options = { publicKey: to[0]!.identity.publicKey };
          if (what === "sealed") void peer.delivery.send(to[0]!.address, "s", body, options).catch(ignore);
          else
            void peer.channel
              .sendToAll(
                to.map(({ address }) => address),
                "m",
                body,
              )
              .catch(ignore);
          await w.timers.runUntil(() => false, 0); // Accepted: on the sender's disk.
          for (const { address } of to) expected.push(`${peer.address} ${address} ${body}`);
        }
      }
      const waiting = () => peers.reduce((sum, { delivery }) => sum + delivery.counters().waiting, 0);
      expect(await w.timers.runUntil(() => waiting() === 0, 9 * MINUTE)).toBe(true);
      const handled = peers.flatMap((to) =>
        to.handled.map(({ from, body }) => `${from} ${to.address} ${Number(body)}`),
      );
      expect(handled.toSorted()).toEqual(expected.toSorted());
      const receipts = (await Promise.all(peers.map(({ delivery }) => delivery.receipts()))).flat();
      expect(receipts).toHaveLength(expected.length);
      for (const { receipt } of receipts) verifyDeliveryReceipt(receipt);
      for (const to of peers)
        for (const from of peers)
          for (const job of [JOB, null]) {
            const seqs = to.handled.filter((it) => it.from === from.address && it.job === job).map(({ seq }) => seq);
            expect(seqs, "in order").toEqual(seqs.toSorted((a, b) => a - b));
          }
      for (const peer of peers) peer.kill();
    }),
    { seed: 6, numRuns: 15 },
  );
});
