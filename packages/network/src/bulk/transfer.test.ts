import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Stream } from "@libp2p/interface";
import { cidOf, equalBytes, type Hex } from "@skynet/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { frame } from "../host/framed-stream.ts";
import type { Host } from "../host/types.ts";
import { createRandom } from "../mutate.ts";
import { openPartialFiles } from "../node/partial-files.ts";
import { startNetwork, type TestNetwork } from "../testing.ts";
import { createBlockLink } from "./block-link.ts";
import { createBlockServer } from "./block-server.ts";
import {
  BLOCK_PROTOCOL,
  BLOCK_STATUS,
  encodeAnswerHead,
  encodeBlockRequest,
  parseBlockRequest,
} from "./block-messages.ts";
import { fetchBlock, fetchBlocks, serveBlocks } from "./blocks.ts";
import { createPace } from "./pace.ts";
import { createMemoryPartials, type Partials } from "./partials.ts";
import { Transfer, type TransferOptions, type TransferProgress } from "./transfer.ts";
import type { SizedBlock } from "./transfer-task.ts";

const KIB = 1024;
let network: TestNetwork;
let buyer: Host;
let sellers: Host[];
const random = createRandom(7);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-transfer-"));

beforeAll(async () => {
  network = await startNetwork();
  buyer = await network.node(1);
  const limits = { maxUpBytesPerSecond: 1024 * KIB };
  sellers = await Promise.all([network.node(2), network.node(3), network.node(4, limits), network.node(5)]);
  for (const { identity } of sellers) await buyer.connect(identity.address);
});
afterAll(async () => {
  await network.stop();
  fs.rmSync(folder, { recursive: true });
});

interface Content {
  readonly blocks: readonly SizedBlock[];
  readonly bytes: ReadonlyMap<string, Uint8Array>;
  readonly size: number;
}

async function makeContent(count: number, blockBytes: number): Promise<Content> {
  const bytes = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const block = Uint8Array.from({ length: blockBytes }, (_, at) => (at % 256 === 0 ? random(256) : at >> 3));
    bytes.set(await cidOf(block), block);
  }
  const blocks = [...bytes].map(([cid, { length }]) => ({ cid, size: length }));
  return { blocks, bytes, size: count * blockBytes };
}

const addressOf = (host: Host): Hex => host.identity.address;

/** Checks what arrives. */
function collect({ blocks, bytes }: Content) {
  const arrived = new Set<number>();
  return {
    arrived,
    onBlock: (index: number, block: Uint8Array) => {
      expect(equalBytes(block, bytes.get(blocks[index]!.cid)!)).toBe(true);
      expect(arrived.has(index)).toBe(false);
      arrived.add(index);
    },
  };
}

test("several peers serve together, faster ones more; who lies, is silent or goes away is left", async () => {
  const content = await makeContent(48, 256 * KIB);
  const [fast, liar, slow, silent] = sellers as [Host, Host, Host, Host];
  const goner = await network.node(6);
  const get = async (cid: string) => content.bytes.get(cid);
  const ends = [
    serveBlocks(fast, {
      allow: () => true,
      get: async (cid) => (await new Promise((go) => setTimeout(go, 20)), get(cid)),
    }),
    serveBlocks(slow, { allow: () => true, get }),
    serveBlocks(liar, { allow: () => true, get: async () => new Uint8Array(256 * KIB) }),
    serveBlocks(silent, { allow: () => true, get: () => new Promise<undefined>(() => undefined) }),
    serveBlocks(goner, { allow: () => true, get, onServed: () => void goner.stop() }),
  ];
  const { arrived, onBlock } = collect(content);
  const hosts = [liar, silent, slow, goner, fast];
  let last: TransferProgress | undefined;
  await fetchBlocks(buyer, content.blocks, {
    sources: hosts.map(addressOf),
    onBlock,
    silenceMs: 1000,
    onProgress: (progress) => (last = progress),
  });
  expect(arrived.size).toBe(48);
  expect(last).toMatchObject({ receivedBytes: content.size, totalBytes: content.size, blocks: 48, totalBlocks: 48 });
  const [, , bySlow, , byFast] = last!.sources.map(({ bytes }) => bytes);
  expect(bySlow).toBeGreaterThan(0);
  expect(byFast).toBeGreaterThan(bySlow!);
  const held = buyer.scores().find(({ peerId }) => peerId === liar.identity.peerId.toString());
  expect(held?.offences.badContent).toBe(1);
  for (const end of ends) end();
});

/** A stream that breaks after so many bytes, within a message if need be. */
function breakAfter(stream: Stream, bytes: number, onBytes: (count: number) => void): Stream {
  const internals = stream as Stream & { onData(data: Uint8Array): void };
  const onData = internals.onData.bind(stream);
  let left = bytes;
  internals.onData = (data) => {
    const part = data.subarray(0, left);
    onBytes(part.length);
    left -= part.length;
    if (part.length > 0) onData(part);
    if (left === 0) stream.abort(new Error("the line went down"));
  };
  return stream;
}

/** Fetches over streams that break; counts what the peer sent and what arrived. */
async function fetchOverBreaks(
  content: Content,
  breaks: number,
  options: Partial<TransferOptions>,
  onOpen: (count: number) => void = () => undefined,
) {
  const [seller] = sellers as [Host];
  let servedBytes = 0;
  let arrivedBytes = 0;
  let opened = 0;
  const streams: Stream[] = [];
  const end = serveBlocks(seller, {
    allow: () => true,
    get: async (cid) => content.bytes.get(cid),
    onServed: (_peer, _cid, bytes) => (servedBytes += bytes),
  });
  const link = createBlockLink({
    peer: addressOf(seller),
    openStream: async (peer, protocol, connect) => {
      const stream = await buyer.openStream(peer, protocol, connect);
      streams.push(stream);
      onOpen(opened + 1);
      const limit = opened++ < breaks ? random(Math.floor((2 * content.size) / breaks)) + 1 : Infinity;
      return breakAfter(stream, limit, (count) => (arrivedBytes += count));
    },
    down: createPace(undefined, Date.now),
    clock: Date.now,
    signal: buyer.signal,
  });
  const { arrived, onBlock } = collect(content);
  const modules = {
    link: () => link,
    clock: Date.now,
    random: Math.random,
    signal: buyer.signal,
    offend: () => undefined,
  };
  const transfer = { sources: [addressOf(seller)], onBlock, patienceMs: 20_000, ...options };
  const done = new Transfer(content.blocks, transfer, modules).run();
  await done.finally(end).catch((error: unknown) => {
    if (!transfer.signal?.aborted) throw error;
  });
  // A peer has a handful of streams only.
  for (const stream of streams) stream.abort(new Error("the test is over"));
  return { arrived, servedBytes, arrivedBytes, opened };
}

test("a transfer whose stream breaks at forty random bytes goes on at the same byte each time", async () => {
  const content = await makeContent(8, 1024 * KIB);
  const { arrived, servedBytes, arrivedBytes, opened } = await fetchOverBreaks(content, 40, {});
  expect(arrived.size).toBe(8);
  expect(opened).toBeGreaterThan(20);
  // No byte of a block arrives twice: the rest are heads of answers, 13 bytes each, and answers cut off within them.
  expect(arrivedBytes - content.size).toBeLessThan(13 * 40 * 80);
  // What was sent in vain was under way when the stream broke: never more than the window.
  expect(servedBytes - content.size).toBeLessThan(opened * 4 * 1024 * KIB);
});

test.each([
  ["in memory", async () => createMemoryPartials(2 ** 22)],
  ["on disk, opened anew as after a restart", () => openPartialFiles(path.join(folder, "partials"))],
])("beginnings of blocks are kept %s, also those that are damaged", async (_name, open) => {
  const content = await makeContent(1, 3 * 1024 * KIB);
  const [{ cid, size }] = content.blocks as [SizedBlock];
  let partials: Partials = await open();
  const stopped = new AbortController();
  const stop = (count: number) => void (count === 4 && stopped.abort(new Error("the node stops")));
  const first = await fetchOverBreaks(content, 16, { partials, signal: stopped.signal }, stop);
  expect(first.arrived.size).toBe(0);
  if (_name !== "in memory") partials = await open();
  const kept = await partials.load(cid);
  expect(kept.length).toBeGreaterThan(0);
  expect(equalBytes(kept, content.bytes.get(cid)!.subarray(0, kept.length))).toBe(true);
  const second = await fetchOverBreaks(content, 0, { partials });
  expect(second.arrived.size).toBe(1);
  expect(second.servedBytes).toBe(size - kept.length);
  expect(await partials.load(cid)).toHaveLength(0);
  await partials.append(cid, 0, new Uint8Array(1000).fill(9));
  const third = await fetchOverBreaks(content, 0, { partials });
  expect(third.arrived.size).toBe(1);
  expect(await partials.load(cid)).toHaveLength(0);
});

test("peers that lie about sizes or break the protocol give typed errors, and cost no more than a block", async () => {
  const cid = await cidOf(Uint8Array.of(1));
  const answers: [Uint8Array[], string][] = [
    [[encodeAnswerHead({ id: 1, status: BLOCK_STATUS.part, size: 0xffffffff })], "Malformed"],
    [[encodeAnswerHead({ id: 1, status: BLOCK_STATUS.part, size: 5 }), new Uint8Array(4)], "Malformed"],
    [[encodeAnswerHead({ id: 2, status: BLOCK_STATUS.part, size: 1 }), Uint8Array.of(1)], "Malformed"],
    [[encodeAnswerHead({ id: 1, status: 9, size: 0 })], "Malformed"],
    [[encodeAnswerHead({ id: 1, status: BLOCK_STATUS.stopped, size: 0 })], "Malformed"],
    [[encodeAnswerHead({ id: 1, status: BLOCK_STATUS.part, size: 1 }), Uint8Array.of(2)], "BadBlock"],
    [[Uint8Array.of(1, 2)], "Malformed"],
    [[new Uint8Array(600 * KIB)], "TooLarge"],
  ];
  const peer = addressOf(sellers[1]!);
  let parts: Uint8Array[] = [];
  await sellers[1]!.serve("/skynet/elsewhere/1", async (stream) => {
    parseBlockRequest((await stream.read(300))!);
    await stream.write(...parts);
    await stream.read(300);
  });
  for (const [i, [answer, code]] of answers.entries()) {
    parts = answer;
    const link = createBlockLink({
      peer,
      openStream: (to, _protocol, options) => buyer.openStream(to, "/skynet/elsewhere/1", options),
      down: createPace(undefined, Date.now),
      clock: Date.now,
      signal: buyer.signal,
    });
    const modules = {
      link: () => link,
      clock: Date.now,
      random: Math.random,
      signal: buyer.signal,
      offend: () => undefined,
    };
    const transfer = new Transfer([{ cid }], { sources: [peer], onBlock: () => undefined }, modules);
    await expect(transfer.run(), `answer ${i}`).rejects.toMatchObject({ code });
  }
});

const buyerScore = (host: Host) => host.scores().find(({ peerId }) => peerId === buyer.identity.peerId.toString());

test("a peer that asks without end and never reads is left; blocks that somebody else asks for still come", async () => {
  const content = await makeContent(1, 1024 * KIB);
  const [seller, other] = sellers as [Host, Host];
  const [{ cid }] = content.blocks as [SizedBlock];
  const end = serveBlocks(seller, { allow: () => true, get: async (it) => content.bytes.get(it) });
  const hostile = frame(await buyer.openStream(addressOf(seller), BLOCK_PROTOCOL));
  const flooded = () => buyerScore(seller)?.offences.protocol ?? 0;
  const before = flooded();
  // Overlapping parts, asked for as fast as they leave.
  const asked = await Promise.allSettled(
    Array.from({ length: 2000 }, (_, i) =>
      hostile.write(encodeBlockRequest({ t: "get", id: i + 1, cid, from: i % 7, length: 512 * KIB })),
    ),
  );
  expect(asked.length).toBe(2000);
  await expect.poll(() => flooded()).toBe(before + 1);
  expect(await fetchBlock(other, addressOf(seller), cid)).toEqual(content.bytes.get(cid));
  end();
});

/** A limit whose waits pass on a clock of its own. */
function virtualPace(bytesPerSecond: number) {
  let nowMs = 0;
  const pace = createPace(
    bytesPerSecond,
    () => nowMs,
    async (ms) => void (nowMs += ms),
  );
  return { pace, seconds: () => nowMs / 1000 };
}

test.each([
  ["small blocks of unknown size", 60, 10 * KIB, false],
  ["large blocks of unknown size", 4, 1024 * KIB, false],
  ["blocks of known size", 8, 256 * KIB, true],
])("limits of rates count what passes, no more and no less: %s", async (_name, count, blockBytes, sized) => {
  const rate = 256 * KIB;
  const content = await makeContent(count, blockBytes);
  const [up, down] = [virtualPace(rate), virtualPace(rate)];
  const [seller] = sellers as [Host];
  const { drops, offend } = seller;
  const server = createBlockServer({ drops, up: up.pace, offend });
  server.provide({ allow: () => true, get: async (cid) => content.bytes.get(cid) });
  const end = await seller.serve("/skynet/paced/1", (stream, from) => server.serve(stream, from));
  const link = createBlockLink({
    peer: addressOf(seller),
    openStream: (to, _protocol, options) => buyer.openStream(to, "/skynet/paced/1", options),
    down: down.pace,
    clock: Date.now,
    signal: buyer.signal,
  });
  const { arrived, onBlock } = collect(content);
  const modules = { link: () => link, clock: Date.now, random: Math.random, signal: buyer.signal, offend };
  const blocks = sized ? content.blocks : content.blocks.map(({ cid }) => ({ cid }));
  await new Transfer(blocks, { sources: [addressOf(seller)], onBlock }, modules).run();
  expect(arrived.size).toBe(count);
  for (const { seconds } of [up, down]) {
    // An eighth of a second's worth passes at once; the last answer's excess would be paid by the next request.
    expect(seconds()).toBeGreaterThan((content.size - 512 * KIB) / rate);
    expect(seconds()).toBeLessThan((1.1 * content.size) / rate);
  }
  await end();
});
