import { expect, test } from "vitest";
import { createGroupKey, unwrapKey, wrapKey } from "./group-key.ts";
import { identityOf } from "../testing.ts";

const groupKey = createGroupKey();
const alice = identityOf(1);
const bob = identityOf(2);

test("a wrapped group key opens for its recipient, in either form of the public key", () => {
  for (const key of [alice.publicKey, alice.compressedPublicKey])
    expect(unwrapKey(wrapKey(groupKey, key, "0x01"), alice, "0x01")).toEqual(groupKey);
});

test("it does not open for others, for another job, or when it was changed", () => {
  const wrapped = wrapKey(groupKey, alice.publicKey, "0x01");
  const cannot = expect.objectContaining({ code: "CannotDecrypt" });
  expect(() => unwrapKey(wrapped, bob, "0x01")).toThrow(cannot);
  expect(() => unwrapKey(wrapped, alice, "0x02")).toThrow(cannot);
  for (let i = 0; i < wrapped.length; i += 7)
    expect(() => unwrapKey(wrapped.with(i, wrapped[i]! ^ 1), alice, "0x01")).toThrow(cannot);
  expect(() => unwrapKey(wrapped.subarray(1), alice, "0x01")).toThrow(cannot);
});

test("a short key or a bad public key is refused", () => {
  const bad = expect.objectContaining({ code: "BadKey" });
  expect(() => wrapKey(groupKey.subarray(1), alice.publicKey, "0x01")).toThrow(bad);
  expect(() => wrapKey(groupKey, new Uint8Array(64), "0x01")).toThrow(bad);
});
