import { fromHex, toHex } from "@skynet/protocol";
import { proto_message } from "@waku/proto";
import { expect, test } from "vitest";
import {
  contentTopicOf,
  decodeWakuMessage,
  encodeWakuMessage,
  MAX_MESSAGE_BYTES,
  wakuMessageHash,
} from "./waku-message.ts";

test("the message hash is that of the first test vector of 14/WAKU2-MESSAGE", () => {
  const bytes = proto_message.WakuMessage.encode({
    payload: fromHex("0x010203045445535405060708"),
    contentTopic: "/waku/2/default-content/proto",
    meta: fromHex("0x73757065722d736563726574"),
    timestamp: 0x175789bfa23f8400n,
  });
  expect(toHex(wakuMessageHash("/waku/2/default-waku/proto", bytes))).toBe(
    "0x64cce733fed134e83da02b02c6f689814872b1a0ac97ea56b76095c3c72bfe05",
  );
});

const contentTopic = contentTopicOf("peers");
const message = { payload: Uint8Array.of(1, 2), contentTopic, timestamp: 5n, ephemeral: true };

test("a message comes back as it was sent", () => {
  expect(decodeWakuMessage(encodeWakuMessage(message))).toEqual(message);
});

test("64 KiB fit, one byte more does not, in either direction", () => {
  const overhead = encodeWakuMessage({ ...message, payload: new Uint8Array(60_000) }).length - 60_000;
  const largest = { ...message, payload: new Uint8Array(MAX_MESSAGE_BYTES - overhead) };
  expect(encodeWakuMessage(largest)).toHaveLength(MAX_MESSAGE_BYTES);
  const larger = { ...message, payload: new Uint8Array(MAX_MESSAGE_BYTES - overhead + 1) };
  const tooLarge = expect.objectContaining({ code: "TooLarge" });
  expect(() => encodeWakuMessage(larger)).toThrow(tooLarge);
  expect(() => decodeWakuMessage(proto_message.WakuMessage.encode({ ...larger, version: 0 }))).toThrow(tooLarge);
});

test("messages of other applications are read, other bytes are malformed", () => {
  const contentTopic = "/toy-chat/2/luzhou/proto";
  expect(decodeWakuMessage(proto_message.WakuMessage.encode({ ...message, contentTopic }))).toMatchObject({
    contentTopic,
  });
  const malformed = expect.objectContaining({ code: "Malformed" });
  for (const wrong of [{ contentTopic: "" }, { contentTopic: "x".repeat(257) }, { payload: new Uint8Array() }])
    expect(() => decodeWakuMessage(proto_message.WakuMessage.encode({ ...message, ...wrong }))).toThrow(malformed);
  expect(() => decodeWakuMessage(Uint8Array.of(0xff))).toThrow(malformed);
  expect(() => contentTopicOf("Ünsafe/..")).toThrow(expect.objectContaining({ code: "BadOption" }));
});
