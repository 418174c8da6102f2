import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { cidOf } from "@skynet/protocol";
import { expect, test } from "vitest";
import { frame } from "../host/framed-stream.ts";
import { identityOf, startNetwork } from "../testing.ts";
import { encodeBlockRequest, MAX_BLOCK_BYTES, MAX_PART_BYTES } from "./block-messages.ts";
import { createBlockServer } from "./block-server.ts";
import { createPace } from "./pace.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
const PROTOCOL = "/skynet/test-blocks/1";
const STREAMS = 48;

test("readers that take nothing keep few whole blocks in memory, however many they are", async () => {
  const network = await startNetwork();
  const [buyer, seller] = await Promise.all([network.node(1), network.node(2)]);
  const server = createBlockServer({
    drops: seller.drops,
    up: createPace(undefined, () => 0),
    offend: () => undefined,
  });
  const given: WeakRef<ArrayBufferLike>[] = [];
  server.provide({
    allow: () => true,
    get: async () => {
      const block = new Uint8Array(MAX_BLOCK_BYTES);
      given.push(new WeakRef(block.buffer));
      return block;
    },
  });
  let streams = 0;
  const end = await seller.serve(PROTOCOL, (stream) => server.serve(stream, identityOf(10 + streams++).address));
  const cids = await Promise.all(Array.from({ length: STREAMS }, (_, n) => cidOf(Uint8Array.of(n))));
  for (const [id, cid] of cids.entries()) {
    const stream = await buyer.openStream(seller.identity.address, PROTOCOL);
    stream.pause();
    await frame(stream).write(encodeBlockRequest({ t: "get", id, cid, from: 0, length: MAX_PART_BYTES }));
  }
  await expect.poll(() => given.length, { timeout: 30_000 }).toBe(STREAMS);
  const kept = () => {
    collectGarbage();
    return given.filter((block) => block.deref() !== undefined).length;
  };
  // Sixteen in answers, eight that were read last.
  await expect.poll(kept).toBeLessThanOrEqual(24);
  expect(streams).toBe(STREAMS);
  await end();
  await expect.poll(kept).toBeLessThanOrEqual(8);
  await network.stop();
});
