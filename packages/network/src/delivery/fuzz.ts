// Long versions of what the tests of delivery sample.
import { decode, encode, toHex } from "@skynet/protocol";
import { createIdentity } from "../identity/identity.ts";
import { openSealed, sealTo } from "../identity/sealed-box.ts";
import { createRandom } from "../mutate.ts";
import { encodeContent, encodeFrame, hashOf, parseContent, parseFrame, type Ack } from "./frame.ts";
import { Incoming } from "./incoming-stream.ts";
import { Outgoing } from "./outgoing-stream.ts";
import { openConfirmation, signConfirmation, verifyDeliveryReceipt } from "./receipt.ts";
import { LossyBus, VirtualTimers, type BusFaults } from "./testing-bus.ts";
import { startPeer, type Peer, type World } from "./testing-peers.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const peer = createIdentity(new Uint8Array(32).fill(2));
const job = "0x01";
const session = 1_700_000_000_000;
const retry = { firstMs: 500, mostMs: 15_000 };

/** Frames and receipts for the fuzzer of mutated messages: what each does, and whether it took effect wrongly. */
export function deliveryTargets(): { valid: Uint8Array; process: (bytes: Uint8Array) => Promise<boolean> }[] {
  const content = encodeContent("fuzz", { list: [1, "two", null] });
  const got = [{ seq: 1, hash: hashOf(content) }];
  const stream = { job, sender: me.address, session };
  const signature = signConfirmation(stream, got, peer);
  const ack: Ack = { to: me.address, session, order: 5, upTo: 1, held: Uint8Array.of(4), got, signature, refused: [] };
  const frame = { to: [{ to: me.address, session, seq: 1, base: 1 }], content, acks: [ack] };
  const receipt = openConfirmation(stream, got, signature, peer.address)(0);
  const sealed = sealTo(content, me.publicKey, "fuzz");
  const message = { job, content, hash: got[0]!.hash, deadlineMs: 1, acceptedMs: 0, keptMs: 0, copies: 1 };
  const pending = {
    message,
    seq: 1,
    done: () => undefined,
    attempts: 1,
    sentMs: 0,
    dueMs: 0,
    restMs: 0,
    held: false,
    settling: false,
    answered: false,
    doubtful: false,
  };
  return [
    { valid: content, process: async (bytes) => parseContent(bytes).kind === "" },
    { valid: sealed, process: async (bytes) => openSealed(bytes, me, "fuzz").length > 0 },
    {
      valid: encode(receipt),
      process: async (bytes) => verifyDeliveryReceipt(decode(bytes)).receiver === peer.address,
    },
    {
      valid: encodeFrame(frame),
      process: async (bytes) => {
        const { to, content: got, acks } = parseFrame(bytes);
        const outgoing = new Outgoing(
          { job, to: peer.address, session, next: 2, publicKey: new Uint8Array(), atMs: 0 },
          retry,
          Math.random,
        );
        outgoing.add({ ...pending });
        const incoming = new Incoming(job, peer.address);
        for (const target of to) incoming.take(target, got);
        const receipts = acks.flatMap((it) => outgoing.receiptsIn(it, me.address));
        for (const it of acks) outgoing.heard(it, 1000);
        return receipts.some((it) => verifyDeliveryReceipt(it.receipt).hash !== toHex(message.hash));
      },
    },
  ];
}

/** A fifth of all copies is lost, one of twenty arrives twice, and later ones overtake earlier ones. */
export const STORM: BusFaults = { loss: 0.2, duplicates: 0.05, delayMs: [5, 80] };
/** Messages of one sender for one recipient that are not confirmed at a time. */
const IN_FLIGHT = 32;
const RESTARTS = 20;
const TEXT = "x".repeat(64);

/** Sends messages between three nodes that are restarted now and then, each pair with its own numbers. */
class Storm {
  readonly #world: World;
  readonly #peers: Peer[];
  readonly #sentAtMs = new Map<string, number>();
  readonly #waits: number[] = [];
  #sent = 0;

  constructor(world: World, peers: Peer[]) {
    this.#world = world;
    this.#peers = peers;
  }

  async run(count: number, onProgress?: (done: number) => void): Promise<void> {
    const { timers, random } = this.#world;
    const restartAfter = Math.max(1, Math.floor(count / RESTARTS));
    for (let restarts = 0; this.#sent < count;) {
      for (const from of this.#peers) for (const to of this.#peers) if (from !== to) this.#fill(from, to, count);
      await timers.runUntil(() => false, 20);
      onProgress?.(this.#sent);
      if (this.#sent < (restarts + 1) * restartAfter) continue;
      restarts++;
      const victim = this.#peers[Math.floor(random() * this.#peers.length)]!;
      victim.kill();
      await timers.runUntil(() => false, 2000);
      await victim.start();
    }
    if (!(await timers.runUntil(() => this.#waiting() === 0, 3_600_000)))
      throw new Error("messages were not confirmed");
  }

  #waiting(): number {
    return this.#peers.reduce((sum, { delivery }) => sum + delivery.counters().waiting, 0);
  }

  #fill(from: Peer, to: Peer, count: number): void {
    const open = from.delivery.counters().waiting;
    for (let i = open; i < 2 * IN_FLIGHT && this.#sent < count; i += 2) {
      const n = this.#sent++;
      const key = `${from.address} ${to.address} ${n}`;
      this.#sentAtMs.set(key, this.#world.timers.nowMs());
      const settled = () => void this.#waits.push(this.#world.timers.nowMs() - this.#sentAtMs.get(key)!);
      // A killed sender's promises end with it; what counts is what the stores and handlers say at the end.
      from.channel.send(to.address, "fuzz", { n, text: TEXT }).then(settled, () => undefined);
    }
  }

  /** @throws Error unless every message was handled once, in order, and has one receipt that proves it */
  async check(): Promise<{ medianMs: number; p99Ms: number }> {
    const handled = this.#peers.flatMap((to) =>
      to.handled.map(({ from, body }) => `${from} ${to.address} ${(body as { n: number }).n}`),
    );
    const distinct = new Set(handled);
    if (distinct.size !== handled.length) throw new Error("a message was handled twice");
    for (const key of this.#sentAtMs.keys()) if (!distinct.has(key)) throw new Error(`lost: ${key}`);
    if (handled.length !== this.#sentAtMs.size) throw new Error("something was handled that nobody sent");
    const receipts = new Set<string>();
    for (const { disk } of this.#peers)
      for (const { receipt } of await disk.receipts({ limit: Number.MAX_SAFE_INTEGER })) {
        verifyDeliveryReceipt(receipt);
        receipts.add(`${receipt.sender} ${receipt.receiver} ${receipt.session} ${receipt.seq}`);
      }
    if (receipts.size !== handled.length) throw new Error(`${receipts.size} receipts for ${handled.length} messages`);
    for (const { handled: all } of this.#peers)
      for (const { address } of this.#peers) {
        const seqs = all.filter(({ from }) => from === address).map(({ seq }) => seq);
        if (seqs.some((seq, i) => i > 0 && seq <= seqs[i - 1]!)) throw new Error("out of order");
      }
    const waits = this.#waits.toSorted((a, b) => a - b);
    const at = (share: number) => Math.round(waits[Math.floor(waits.length * share)] ?? 0);
    return { medianMs: at(0.5), p99Ms: at(0.99) };
  }
}

/**
 * `count` messages through a relay that loses 20 %, repeats 5 % and reorders, with restarts of the nodes.
 * @throws Error unless each is handled exactly once, in order, with one receipt
 */
export async function fuzzDelivery(options: { count: number; seed: number; onProgress?: (done: number) => void }) {
  const timers = new VirtualTimers();
  const below = createRandom(options.seed);
  const random = () => below(2 ** 32) / 2 ** 32;
  const world = { timers, random, bus: new LossyBus(timers, random, STORM) };
  const peers = await Promise.all([1, 2, 3].map((n) => startPeer(n, world)));
  const startMs = timers.nowMs();
  const storm = new Storm(world, peers);
  await storm.run(options.count, options.onProgress);
  const waits = await storm.check();
  const { published, bytes } = world.bus;
  return {
    handledOnce: peers.reduce((sum, { handled }) => sum + handled.length, 0),
    relayedPerMessage: published / options.count,
    bytesPerMessage: Math.round(bytes / options.count),
    contentBytes: encodeContent("fuzz", { n: options.count, text: TEXT }).length,
    virtualSeconds: Math.round((timers.nowMs() - startMs) / 1000),
    receiptAfter: waits,
    totals: peers.map((peer) => peer.totals()),
  };
}
