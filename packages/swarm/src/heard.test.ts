import { encode, toHex } from "@skynet/protocol";
import { expect, it } from "vitest";
import { HeardMessages, type HeardMessage } from "./heard.ts";
import type { Address, JobFiles } from "./ports.ts";
import { memoryFiles } from "./simulator.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const member = (n: number): Address => toHex(new Uint8Array(20).fill(n));
const final = (n: number, id: number): HeardMessage<"final"> => ({
  kind: "final",
  from: member(n),
  body: { modelId: new Uint8Array(32).fill(id) },
});

it("a restarted node knows the latest message of each kind from each member, and no others", async () => {
  const files = memoryFiles();
  const heard = new HeardMessages(files, silent);
  await Promise.all([final(1, 1), final(2, 1), final(1, 2)].map((message) => heard.keep(message)));
  await heard.keep({ kind: "need-state", from: member(1), body: { modelId: new Uint8Array(32) } });
  const again = new HeardMessages(files, silent);
  await again.load();
  expect(again.all()).toEqual([final(1, 2), final(2, 1)]);
});

it("a message is on disk when it counts as kept, one write at a time", async () => {
  const memory = memoryFiles();
  let writing = 0;
  let writes = 0;
  const files: JobFiles = {
    read: memory.read,
    async write(name, bytes) {
      expect(++writing).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      await memory.write(name, bytes);
      writing--;
      writes++;
    },
  };
  const heard = new HeardMessages(files, silent);
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      await heard.keep(final(n, n));
      const stored = new HeardMessages(memory, silent);
      await stored.load();
      expect(stored.all()).toContainEqual(final(n, n));
    }),
  );
  expect(writes).toBeLessThanOrEqual(3);
});

it("a write that failed is not taken for done, and the next one works", async () => {
  const memory = memoryFiles();
  let full = true;
  const write: JobFiles["write"] = async (name, bytes) => {
    if (full) throw new Error("disk full");
    await memory.write(name, bytes);
  };
  const heard = new HeardMessages({ ...memory, write }, silent);
  await expect(heard.keep(final(1, 1))).rejects.toThrow("disk full");
  full = false;
  await heard.keep(final(2, 2));
  const again = new HeardMessages(memory, silent);
  await again.load();
  expect(again.all()).toHaveLength(2);
});

it("damaged files are passed over; what arrives first does not replace what is on disk of the others", async () => {
  const files = memoryFiles();
  await files.write("heard-ready.cbor", new Uint8Array(9));
  await files.write("heard-merge.cbor", encode([["0x12", { round: 1 }]]));
  await files.write("heard-final.cbor", encode([3, 1].map((n) => [member(n), final(n, n).body])));
  const heard = new HeardMessages(files, silent);
  await heard.keep(final(1, 2));
  expect(heard.all()).toEqual([final(3, 3), final(1, 2)]);
  const again = new HeardMessages(files, silent);
  await again.load();
  expect(again.all()).toEqual(heard.all());
});
