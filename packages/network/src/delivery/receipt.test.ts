import { fromHex, keccak256, merkleRootFromPath, toHex, word } from "@skynet/protocol";
import { expect, test } from "vitest";
import { addressFromPublicKey } from "../identity/identity.ts";
import { recoverSigner } from "../identity/signature.ts";
import { identityOf } from "../testing.ts";
import { openConfirmation, signConfirmation, verifyDeliveryReceipt } from "./receipt.ts";

const [sender, receiver, other] = [identityOf(1), identityOf(2), identityOf(3)];
const stream = { job: "0x0a", sender: sender.address, session: 1_700_000_000_000 };
const got = [3, 4, 7].map((seq) => ({ seq, hash: new Uint8Array(32).fill(seq) }));
const signature = signConfirmation(stream, got, receiver);
const receiptOf = openConfirmation(stream, got, signature, receiver.address);
const bad = expect.objectContaining({ code: "BadReceipt" });

test("each message of a confirmation has a receipt that proves by itself", () => {
  got.forEach(({ seq, hash }, index) => {
    const receipt = receiptOf(index);
    expect(receipt).toMatchObject({ ...stream, receiver: receiver.address, seq, hash: toHex(hash) });
    expect(verifyDeliveryReceipt(JSON.parse(JSON.stringify(receipt)))).toEqual(receipt);
  });
});

test("a contract can check it: words of 32 bytes under keccak256 and ecrecover", () => {
  const { hash, index, count, path } = receiptOf(1);
  const root = merkleRootFromPath(keccak256(word(4), fromHex(hash)), index, count, path.map(fromHex));
  const domain = keccak256(new TextEncoder().encode("skynet/1/delivery"));
  const digest = keccak256(domain, word(0x0an), word(BigInt(sender.address)), word(stream.session), root);
  expect(addressFromPublicKey(recoverSigner(digest, signature)!)).toBe(receiver.address);
});

test.each(
  Object.entries({
    job: null,
    sender: other.address,
    receiver: other.address,
    session: stream.session + 1,
    seq: 5,
    hash: `0x${"05".repeat(32)}`,
    index: 2,
    count: 4,
    path: [],
  }),
)("a receipt with another %s proves nothing", (field, value) => {
  expect(() => verifyDeliveryReceipt({ ...receiptOf(1), [field]: value })).toThrow(bad);
});

test("a confirmation of somebody else, of another set, or of another stream is not taken", () => {
  expect(() => openConfirmation(stream, got, signConfirmation(stream, got, other), receiver.address)).toThrow(bad);
  expect(() => openConfirmation(stream, got.slice(1), signature, receiver.address)).toThrow(bad);
  expect(() => openConfirmation({ ...stream, session: 1 }, got, signature, receiver.address)).toThrow(bad);
  expect(() => openConfirmation(stream, got, signature.subarray(1), receiver.address)).toThrow(bad);
  for (const nonsense of [undefined, 1, "receipt", {}, []]) expect(() => verifyDeliveryReceipt(nonsense)).toThrow(bad);
});
