import { encode } from "@skynet/protocol";
import { proto_message } from "@waku/proto";
import * as fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { createDrops, type Drops } from "../host/drops.ts";
import { sealEnvelope } from "./envelope.ts";
import { createInbox, type Inbox, type RelayMessage } from "./inbox.ts";
import { silent } from "../host/log.ts";
import { identityOf } from "../testing.ts";
import { contentTopicOf, encodeWakuMessage } from "./waku-message.ts";

const alice = identityOf(1);
const me = identityOf(2);
const groupKey = new Uint8Array(32).fill(5);
let drops: Drops;
let inbox: Inbox;
let got: RelayMessage[];
beforeEach(() => {
  drops = createDrops();
  inbox = createInbox({ self: me.address, drops, log: silent });
  got = [];
});

interface MessageOptions {
  topic?: string;
  seq?: number;
  key?: Uint8Array;
  body?: unknown;
  from?: typeof alice;
}

const random = (length: number) => new Uint8Array(length).fill(9);

function payloadOf({ topic = "test", seq = 1000, key, body = { hello: 1 }, from = alice }: MessageOptions = {}) {
  const options = { identity: from, contentTopic: contentTopicOf(topic), seq, groupKey: key, random };
  return sealEnvelope({ kind: "greeting", job: "0x0a", body }, options);
}
const wrap = (payload: Uint8Array, topic = "test") =>
  encodeWakuMessage({ payload, contentTopic: contentTopicOf(topic), timestamp: 1n, ephemeral: true });
const message = (options: MessageOptions = {}) => wrap(payloadOf(options), options.topic);
const listen = (options?: Parameters<Inbox["subscribe"]>[2]) =>
  inbox.subscribe("test", (received) => void got.push(received), options);

test("a signed message reaches the handlers of its topic with its sender", () => {
  listen();
  expect(inbox.receive(message())).toBeUndefined();
  inbox.receive(message({ topic: "other" }));
  expect(got).toEqual([{ kind: "greeting", job: "0x0a", from: alice.address, seq: 1000, body: { hello: 1 } }]);
  expect(drops.snapshot()).toEqual({});
});

test("a message arrives once; overtaken ones arrive too, too old ones do not", () => {
  listen();
  for (const seq of [2000, 1990, 2000, 1990, 2001, 900]) inbox.receive(message({ seq }));
  expect(got.map(({ seq }) => seq)).toEqual([2000, 1990, 2001]);
  expect(drops.snapshot()).toEqual({ replayed: 3 });
  expect(inbox.receive(message({ from: me }))).toBe("replayed");
});

test("a changed message, a forged sender and a message from another topic have a wrong signature", () => {
  listen();
  const valid = payloadOf();
  const at = Buffer.from(valid).indexOf("hello");
  expect(inbox.receive(wrap(valid.with(at, 0x6a)))).toBe("badSignature");
  expect(inbox.receive(wrap(payloadOf({ topic: "other" })))).toBe("badSignature");
  const forged = Buffer.from(valid);
  forged.set(identityOf(3).compressedPublicKey, forged.indexOf(alice.compressedPublicKey));
  expect(inbox.receive(wrap(forged))).toBe("badSignature");
  expect(inbox.receive(wrap(valid))).toBeUndefined();
  expect(got).toHaveLength(1);
});

test("messages of a job open with any of its keys and with no other", () => {
  const other = new Uint8Array(32).fill(6);
  listen({ groupKey: () => [other, groupKey] });
  expect(inbox.receive(message({ key: groupKey }))).toBeUndefined();
  expect(inbox.receive(message({ key: new Uint8Array(32), seq: 1001 }))).toBe("notForUs");
  expect(inbox.receive(message({ seq: 1002 }))).toBe("unencrypted");
  expect(got.map(({ seq }) => seq)).toEqual([1000]);
});

test("two jobs on one topic do not disturb each other", () => {
  const jobs = [groupKey, new Uint8Array(32).fill(6)];
  const seen: number[][] = [[], []];
  jobs.forEach((key, i) => inbox.subscribe("test", ({ seq }) => void seen[i]!.push(seq), { groupKey: () => [key] }));
  jobs.forEach((key, i) => inbox.receive(message({ key, seq: 1000 + i })));
  expect(seen).toEqual([[1000], [1001]]);
  expect(drops.snapshot()).toEqual({});
});

test("unknown senders, oversized and undecodable messages are dropped and counted", () => {
  listen({ allow: (address) => address !== alice.address });
  expect(inbox.receive(message())).toBe("unknownSender");
  const large = { payload: new Uint8Array(70_000), contentTopic: contentTopicOf("test") };
  expect(inbox.receive(proto_message.WakuMessage.encode(large))).toBe("oversized");
  expect(inbox.receive(new Uint8Array(100).fill(255))).toBe("undecodable");
  expect(inbox.receive(wrap(Uint8Array.of(7, 7, 7)))).toBe("undecodable");
  expect(inbox.receive(wrap(Uint8Array.of(0, ...encode({ m: 1, s: 2 }))))).toBe("undecodable");
  expect(drops.snapshot()).toEqual({ unknownSender: 1, oversized: 1, undecodable: 3 });
  expect(got).toEqual([]);
});

test("a handler that fails harms nobody else", async () => {
  inbox.subscribe("test", () => {
    throw new Error("at once");
  });
  inbox.subscribe("test", () => Promise.reject(new Error("later")));
  listen();
  inbox.receive(message());
  await Promise.resolve();
  expect(got).toHaveLength(1);
  await expect.poll(() => drops.snapshot()).toEqual({ handlerError: 2 });
});

test("a subscription ends by its function or its signal", () => {
  const controller = new AbortController();
  const end = listen();
  listen({ signal: controller.signal });
  listen({ signal: AbortSignal.abort() });
  inbox.receive(message({ seq: 1 }));
  end();
  inbox.receive(message({ seq: 2 }));
  controller.abort();
  inbox.receive(message({ seq: 3 }));
  expect(got.map(({ seq }) => seq)).toEqual([1, 1, 2]);
});

test("whatever dag-cbor can hold travels unchanged, in plain and encrypted form", () => {
  const leaf = fc.oneof(fc.string(), fc.boolean(), fc.constant(null), fc.uint8Array(), fc.maxSafeInteger());
  const body = fc.oneof(leaf, fc.array(leaf), fc.dictionary(fc.string(), leaf, { noNullPrototype: true }));
  let seq = 1;
  listen();
  inbox.subscribe("secret", (received) => void got.push(received), { groupKey: () => [groupKey] });
  fc.assert(
    fc.property(body, fc.boolean(), (value, secret) => {
      seq += 1;
      inbox.receive(message(secret ? { topic: "secret", key: groupKey, seq, body: value } : { seq, body: value }));
      expect(encode(got.at(-1)!.body)).toEqual(encode(value));
      expect(got.at(-1)!.seq).toBe(seq);
    }),
    { seed: 1, numRuns: 200 },
  );
});

test("a body that cannot be encoded is refused when it is sent", () => {
  expect(() => payloadOf({ body: { nothing: undefined } })).toThrow(expect.objectContaining({ code: "BadOption" }));
});
