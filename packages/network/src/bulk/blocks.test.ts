import { cidOf } from "@skynet/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BLOCK_PROTOCOL } from "./block-messages.ts";
import { fetchBlock, serveBlocks } from "./blocks.ts";
import type { TransferProgress } from "./transfer.ts";
import type { Host } from "../host/types.ts";
import { startNetwork, type TestNetwork } from "../testing.ts";

let network: TestNetwork;
let requester: Host;
let worker: Host;
const blocks = new Map<string, Uint8Array>();
beforeEach(async () => {
  network = await startNetwork();
  [requester, worker] = (await Promise.all([network.node(1), network.node(2)])) as [Host, Host];
});
afterEach(() => network.stop());

const serve = (allowed: readonly Host[]) =>
  serveBlocks(requester, {
    allow: (peer) => allowed.some(({ identity }) => identity.address === peer),
    get: async (cid) => blocks.get(cid),
  });

async function store(block: Uint8Array): Promise<string> {
  const cid = await cidOf(block);
  blocks.set(cid, block);
  return cid;
}

test("a worker fetches two hundred blocks at once over one stream", async () => {
  serve([worker]);
  const cids = await Promise.all(
    Array.from({ length: 200 }, (_, i) => store(new Uint8Array(100_000).fill(i % 251).fill(i >> 8, 0, 9))),
  );
  const from = requester.identity.address;
  let received = 0;
  const onProgress = ({ blocks, receivedBytes }: TransferProgress) => {
    if (blocks === 1) received += receivedBytes;
  };
  const got = await Promise.all(cids.map((cid) => fetchBlock(worker, from, cid, { onProgress })));
  expect(got.every((block, i) => Buffer.compare(block, blocks.get(cids[i]!)!) === 0)).toBe(true);
  expect(received).toBe(20_000_000);
  const { protocols, receivedBytes } = worker.traffic();
  expect(protocols[BLOCK_PROTOCOL]!.receivedBytes).toBe(200 * 100_013);
  expect(protocols[BLOCK_PROTOCOL]!.sentBytes).toBeLessThan(200 * 120);
  expect(receivedBytes).toBeGreaterThan(20_000_000);
  expect(receivedBytes).toBeLessThan(20_400_000);
});

test("a node that is not admitted is refused and counted; a missing block is not found", async () => {
  serve([worker]);
  const stranger = await network.node(3);
  const cid = await store(Uint8Array.of(1, 2, 3));
  const from = requester.identity.address;
  await expect(fetchBlock(stranger, from, cid)).rejects.toMatchObject({ code: "Refused" });
  expect(requester.traffic().dropped).toEqual({ refusedBlock: 1 });
  await expect(fetchBlock(worker, from, await cidOf(Uint8Array.of(9)))).rejects.toMatchObject({ code: "NotFound" });
  expect(await fetchBlock(worker, from, cid)).toEqual(Uint8Array.of(1, 2, 3));
});

test("other bytes than asked for are not accepted", async () => {
  const cid = await cidOf(Uint8Array.of(1));
  serveBlocks(requester, { allow: () => true, get: async () => Uint8Array.of(2) });
  const fetched = fetchBlock(worker, requester.identity.address, cid);
  await expect(fetched).rejects.toMatchObject({ code: "BadBlock" });
});

test("a peer that serves nothing, stalls, or goes away gives a typed error, and later requests work", async () => {
  const cid = await store(Uint8Array.of(5));
  const from = requester.identity.address;
  await expect(fetchBlock(worker, from, cid)).rejects.toMatchObject({ code: "Refused" });
  const forever = new Promise<undefined>(() => undefined);
  const end = serveBlocks(requester, { allow: () => true, get: () => forever });
  await expect(fetchBlock(worker, from, cid, { silenceMs: 50 })).rejects.toMatchObject({ code: "Stalled" });
  const aborted = fetchBlock(worker, from, cid, { signal: AbortSignal.timeout(50) });
  await expect(aborted).rejects.toMatchObject({ name: "TimeoutError" });
  end();
  serve([worker]);
  expect(await fetchBlock(worker, from, cid)).toEqual(Uint8Array.of(5));
  await requester.stop();
  await expect(fetchBlock(worker, from, cid)).rejects.toMatchObject({ code: "Unreachable" });
});

test("bytes that are not a request end the stream and are counted", async () => {
  serve([worker]);
  const stream = await worker.openStream(requester.identity.address, BLOCK_PROTOCOL);
  stream.send(Uint8Array.of(0, 0, 0, 3, 1, 2, 3));
  await expect.poll(() => requester.traffic().dropped).toEqual({ badStream: 1 });
  const second = await worker.openStream(requester.identity.address, BLOCK_PROTOCOL);
  second.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
  await expect.poll(() => requester.traffic().dropped).toEqual({ badStream: 2 });
});
