import { createIdentity } from "@skynet/network";
import { toHex } from "@skynet/protocol";
import { expect, test } from "vitest";
import { registryRelays } from "./discovery.ts";

const { compressedPublicKey } = createIdentity(new Uint8Array(32).fill(1));
const ENTRIES = 10_000;

/** A list in which each entry says its place. */
const relays = {
  count: async () => ENTRIES,
  list: async ({ from = 0, most = 256 } = {}) =>
    Array.from({ length: Math.max(0, Math.min(most, ENTRIES - from)) }, (_, i) => ({
      relay: "0x" as const,
      publicKey: toHex(compressedPublicKey),
      multiaddrs: [`/ip4/9.9.9.9/tcp/${from + i + 1}`],
      expiry: 0,
    })),
};

test("of a long list a node takes a bounded choice from all of its parts, each time another one", async () => {
  const read = async () => {
    const source = registryRelays({ relays: relays as never, chainId: 1 });
    const found = await source.relays(AbortSignal.timeout(30_000));
    return found.map((text) => Number(/tcp\/(\d+)/.exec(text)![1]) - 1);
  };
  const [first, second] = [await read(), await read()];
  for (const places of [first, second]) {
    expect(new Set(places).size).toBe(256);
    expect(new Set(places.map((place) => Math.floor((4 * place) / ENTRIES))).size).toBe(4);
  }
  expect(first).not.toEqual(first.toSorted((a, b) => a - b));
  expect(first).not.toEqual(second);
});
