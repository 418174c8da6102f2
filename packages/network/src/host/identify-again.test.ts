import { identify } from "@libp2p/identify";
import { multiaddr } from "@multiformats/multiaddr";
import { yamux } from "@libp2p/yamux";
import { tls } from "@libp2p/tls";
import { tcp } from "@libp2p/tcp";
import { createLibp2p } from "libp2p";
import { expect, test } from "vitest";
import { identityOf } from "../testing.ts";
import { STORE_PROTOCOL } from "../waku/protocols.ts";
import { waitForService } from "../waku/service-peers.ts";
import { createHost } from "./host.ts";
import { identifyAgain } from "./identify-again.ts";
import type { BaseNode } from "./libp2p-node.ts";

test("a node that did not learn at first what its relay serves asks it again", async () => {
  const relay = await createHost({ identity: identityOf(99), relayService: true, role: "relay" });
  const node = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    // As if the first question had failed.
    services: { identify: identify({ runOnConnectionOpen: false }) },
  });
  const stop = new AbortController();
  try {
    identifyAgain(node as unknown as BaseNode, stop.signal, 100);
    await node.dial(multiaddr(relay.multiaddrs()[0]!));
    const serving = await waitForService(node as unknown as BaseNode, STORE_PROTOCOL, AbortSignal.timeout(30_000));
    expect(serving.map(String)).toEqual([relay.identity.peerId.toString()]);
  } finally {
    stop.abort();
    await Promise.all([node.stop(), relay.stop()]);
  }
});
