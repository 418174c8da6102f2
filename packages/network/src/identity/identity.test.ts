import { toHex } from "@skynet/protocol";
import { expect, test } from "vitest";
import {
  addressFromPeerId,
  addressFromPublicKey,
  createIdentity,
  deriveSecret,
  peerIdFromPublicKey,
  publicKeyFromPeerId,
} from "./identity.ts";

const one = new Uint8Array(32).with(31, 1);

test("the address of the private key 1 is the well-known one", () => {
  expect(createIdentity(one).address).toBe("0x7e5f4552091a69125d5dfcb7b8c2659029395bdf");
});

test("address, public key and PeerId follow from each other", () => {
  const { address, publicKey, compressedPublicKey, peerId } = createIdentity(new Uint8Array(32).fill(7));
  expect(publicKey).toHaveLength(64);
  for (const key of [publicKey, compressedPublicKey]) {
    expect(addressFromPublicKey(key)).toBe(address);
    expect(peerIdFromPublicKey(key).equals(peerId)).toBe(true);
  }
  expect(addressFromPeerId(peerId)).toBe(address);
  expect(addressFromPeerId(peerId.toString())).toBe(address);
  expect(publicKeyFromPeerId(peerId)).toEqual(compressedPublicKey);
});

test.each([
  ["a zero private key", () => createIdentity(new Uint8Array(32))],
  ["a short private key", () => createIdentity(new Uint8Array(31).fill(1))],
  ["a public key off the curve", () => addressFromPublicKey(new Uint8Array(64).fill(1))],
  ["a PeerId with an Ed25519 key", () => addressFromPeerId("12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8")],
  ["no PeerId", () => addressFromPeerId("nonsense")],
  [
    "a PeerId with a character that base58 skips",
    () => {
      const text = createIdentity(one).peerId.toString();
      return addressFromPeerId(`${text.slice(0, 1)}\u{fffd}${text.slice(1)}`);
    },
  ],
])("%s is refused", (_name, run) => {
  expect(run).toThrow(expect.objectContaining({ code: "BadKey" }));
});

test("secrets are the same after a restart, differ by key and purpose, and are not the key", () => {
  const secretOf = (key: Uint8Array, purpose: string) => toHex(deriveSecret(createIdentity(key), purpose));
  const other = new Uint8Array(32).fill(7);
  const secrets = [secretOf(one, "blinders"), secretOf(one, "other"), secretOf(other, "blinders"), toHex(one)];
  expect(secretOf(one, "blinders")).toBe(secrets[0]);
  expect(new Set(secrets).size).toBe(secrets.length);
});
