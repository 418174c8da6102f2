// Peers whose key is no account: nothing on chain could admit them.
import { generateKeyPair } from "@libp2p/crypto/keys";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { expect, test } from "vitest";
import { serveBlocks } from "../bulk/blocks.ts";
import { BLOCK_PROTOCOL } from "../bulk/block-messages.ts";
import { identityOf } from "../testing.ts";
import { createHost } from "./host.ts";

test("a peer with an Ed25519 key gets no stream of ours, and is no address", async () => {
  const host = await createHost({ identity: identityOf(1) });
  let asked = 0;
  await serveBlocks(host, { allow: () => (asked += 1) > 0, get: async () => Uint8Array.of(1) });
  const stranger = await createLibp2p({
    privateKey: await generateKeyPair("Ed25519"),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
  });
  const stream = await stranger.dialProtocol(multiaddr(host.multiaddrs()[0]!), BLOCK_PROTOCOL);
  await expect.poll(() => host.traffic().dropped.badStream).toBe(1);
  await expect.poll(() => stream.status).toBe("reset");
  expect(asked).toBe(0);
  expect(host.peers()).toEqual([]);
  expect(host.connections()).toMatchObject([{ peer: undefined, kind: "tcp" }]);
  await stranger.stop();
  await host.stop();
});
