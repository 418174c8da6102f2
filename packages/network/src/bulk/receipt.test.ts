import { decode, encode, type Hex } from "@skynet/protocol";
import { expect, test } from "vitest";
import { checkReceipt, signReceipt, verifyReceipt } from "./receipt.ts";
import { identityOf } from "../testing.ts";

const sender = identityOf(1);
const receiver = identityOf(2);
const content = {
  job: "0x0a",
  round: 3,
  kind: "weights",
  hash: `0x${"11".repeat(32)}` as Hex,
  sender: sender.address,
};
const expected = { ...content, receiver: receiver.address };
const bytes = signReceipt(content, receiver);

test("a receipt says who confirmed what to whom", () => {
  expect(verifyReceipt(bytes)).toEqual(expected);
  expect(() => checkReceipt(bytes, expected)).not.toThrow();
});

test.each(
  Object.entries({ job: "0x0b", round: 4, kind: "other", hash: `0x${"12".repeat(32)}`, sender: receiver.address }),
)("a receipt for another %s is not accepted, and cannot be turned into one", (field, value) => {
  const bad = expect.objectContaining({ code: "BadReceipt" });
  const other = { ...content, [field]: value };
  expect(() => checkReceipt(signReceipt(other, receiver), expected)).toThrow(bad);
  const { signature } = decode(bytes) as { signature: Uint8Array };
  const forged = encode({ ...(decode(signReceipt(other, receiver)) as object), signature });
  expect(() => checkReceipt(forged, { ...other, receiver: receiver.address })).toThrow(bad);
});

test("somebody else's signature, another form of it, and nonsense are not receipts", () => {
  const bad = expect.objectContaining({ code: "BadReceipt" });
  expect(() => checkReceipt(signReceipt(content, sender), expected)).toThrow(bad);
  const map = decode(bytes) as { signature: Uint8Array };
  const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const s = BigInt(`0x${Buffer.from(map.signature.subarray(32, 64)).toString("hex")}`);
  const highS = Buffer.from((n - s).toString(16).padStart(64, "0"), "hex");
  const signature = Uint8Array.from([...map.signature.subarray(0, 32), ...highS, map.signature[64]! ^ 7]);
  expect(() => verifyReceipt(encode({ ...map, signature }))).toThrow(bad);
  expect(() => verifyReceipt(new Uint8Array(200))).toThrow(bad);
  expect(() => verifyReceipt(new Uint8Array())).toThrow(bad);
});
