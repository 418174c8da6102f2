import { cidOf } from "@skynet/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Host } from "../host/types.ts";
import { startNetwork, type TestNetwork } from "../testing.ts";
import { createBlockLink } from "./block-link.ts";
import { BLOCK_PROTOCOL, BLOCK_STATUS, encodeAnswerHead, parseBlockRequest } from "./block-messages.ts";
import { fetchBlocks, serveBlocks } from "./blocks.ts";
import { createPace } from "./pace.ts";

const HOUR_MS = 3_600_000;
let network: TestNetwork;
let buyer: Host;
let seller: Host;
let stepMs = 0;
beforeAll(async () => {
  network = await startNetwork();
  [buyer, seller] = await Promise.all([network.node(1, { clock: () => Date.now() + stepMs }), network.node(2)]);
  await buyer.connect(seller.identity.address);
});
afterAll(() => network.stop());

const blockStreams = () =>
  buyer.connections().flatMap(({ streams }) => streams.filter((protocol) => protocol === BLOCK_PROTOCOL)).length;

test("a link that nothing is asked of closes its stream, and opens another one when it is needed again", async () => {
  const block = Uint8Array.of(1, 2, 3);
  const cid = await cidOf(block);
  const end = serveBlocks(seller, { allow: () => true, get: async () => block });
  let idle = Promise.withResolvers<void>();
  const link = createBlockLink({
    peer: seller.identity.address,
    openStream: (...args) => buyer.openStream(...args),
    down: createPace(undefined, () => performance.now()),
    clock: () => performance.now(),
    signal: buyer.signal,
    idleMs: 1,
    onIdle: () => idle.resolve(),
  });
  for (let i = 0; i < 3; i++) {
    idle = Promise.withResolvers();
    const target = new Uint8Array(3);
    const part = { cid, from: 0, length: 3, open: false, target: () => target, onBytes: () => undefined };
    expect(await link.get(part, { signal: buyer.signal, silenceMs: 5000 })).toBe(3);
    expect(target).toEqual(block);
    await idle.promise;
    await expect.poll(blockStreams).toBe(0);
  }
  end();
});

test("of what the limit was charged for a link that breaks, it gets back what did not come", async () => {
  const PROTOCOL = "/skynet/test-blocks/1";
  const [size, came] = [200_000, 64 * 1024];
  const block = new Uint8Array(size);
  const halfIsHere = Promise.withResolvers<void>();
  const end = await seller.serve(PROTOCOL, async (stream) => {
    const head = async () => {
      const { id } = parseBlockRequest((await stream.read(4096))!);
      return encodeAnswerHead({ id, status: BLOCK_STATUS.part, size });
    };
    await stream.write(await head(), block);
    let slices = 0;
    await stream.writePaced(() => (slices++ === 0 ? undefined : halfIsHere.promise), await head(), block);
  });
  let charged = 0;
  const count = (bytes: number) => void (charged += bytes);
  const link = createBlockLink({
    peer: seller.identity.address,
    openStream: (peer, _protocol, options) => buyer.openStream(peer, PROTOCOL, options),
    down: { burstBytes: 4096, take: count, settle: count },
    clock: () => performance.now(),
    signal: buyer.signal,
  });
  let arrived = 0;
  const onBytes = (bytes: number) => {
    arrived += bytes;
    if (arrived === size + came) halfIsHere.reject(new Error("the link breaks"));
  };
  const cid = await cidOf(block);
  const part = { cid, from: 0, length: size, open: false, target: () => new Uint8Array(size), onBytes };
  const gets = [1, 2, 3].map(() => link.get(part, { signal: buyer.signal, silenceMs: 20_000 }));
  const results = await Promise.allSettled(gets);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
  expect(charged).toBe(size + came);
  await end();
});

test("a change of the machine's time does not end a transfer", async () => {
  const blocks = Array.from({ length: 8 }, (_, i) => new Uint8Array(100_000).fill(i));
  const refs = await Promise.all(blocks.map(async (block) => ({ cid: await cidOf(block), size: block.length })));
  const end = serveBlocks(seller, {
    allow: () => true,
    get: async (cid) => {
      stepMs += HOUR_MS;
      // Long enough for whoever waits for this answer to look at the time.
      await seller.dial(network.relay.multiaddrs()[0]!);
      return blocks[refs.findIndex((ref) => ref.cid === cid)];
    },
  });
  const arrived: number[] = [];
  const sources = [seller.identity.address];
  await fetchBlocks(buyer, refs, { sources, silenceMs: 20_000, onBlock: (index) => void arrived.push(index) });
  expect(arrived.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  end();
});
