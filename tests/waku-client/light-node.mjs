// A stock js-waku light node, in Node and in a page. It knows nothing of SkyNet but cluster, shard and relay.
import { createDecoder, createEncoder, createLightNode, Protocols } from "@waku/sdk";
import { createRoutingInfo } from "@waku/utils";

const textOf = (bytes) => new TextDecoder().decode(bytes);

/** @param relays multiaddrs, WebSockets @param peerExchange whether it asks relays for others and connects to them */
export async function startLightNode({ relays, clusterId, contentTopic, peerExchange = false }) {
  const networkConfig = { clusterId, numShardsInCluster: 1 };
  const routingInfo = createRoutingInfo(networkConfig, { contentTopic });
  const node = await createLightNode({
    networkConfig,
    defaultBootstrap: false,
    bootstrapPeers: relays,
    numPeersToUse: 1,
    discovery: { dns: false, peerExchange, peerCache: false },
    // Without this, only encrypted WebSockets of public machines are dialled.
    libp2p: { hideWebSocketInfo: true, filterMultiaddrs: false, connectionGater: { denyDialMultiaddr: () => false } },
  });
  const decoder = createDecoder(contentTopic, routingInfo);
  const encoder = (ephemeral) => createEncoder({ contentTopic, routingInfo, ephemeral });
  const received = [];
  const waiting = new Set();
  const take = (message) => {
    received.push(textOf(message.payload));
    for (const look of waiting) look();
  };
  return {
    ready: async () => {
      await node.waitForPeers([Protocols.LightPush, Protocols.Filter, Protocols.Store], 20_000);
      return { pubsubTopic: routingInfo.pubsubTopic };
    },
    subscribe: () => node.filter.subscribe([decoder], take),
    unsubscribe: () => node.filter.unsubscribe([decoder]),
    /** @returns which errors the relay answered with; none: it took the message */
    push: async ({ text, bytes, ephemeral = false, useLegacy = false }) => {
      const payload = bytes ? Uint8Array.from(bytes) : new TextEncoder().encode(text);
      const options = { autoRetry: false, useLegacy };
      const { successes, failures } = await node.lightPush.send(encoder(ephemeral), { payload }, options);
      return { successes: successes.length, failures: failures.map(({ error }) => error) };
    },
    /** What was pushed to us, as soon as there are so many. */
    received: ({ count }) =>
      new Promise((resolve) => {
        const look = () => {
          if (received.length < count) return;
          waiting.delete(look);
          resolve([...received]);
        };
        waiting.add(look);
        look();
      }),
    query: async ({ pageSize = 20, forward = true }) => {
      const options = { paginationLimit: pageSize, includeData: true, paginationForward: forward };
      const pages = [];
      for await (const page of node.store.queryGenerator([decoder], options)) {
        const messages = await Promise.all(page);
        pages.push(messages.map(({ payload }) => textOf(payload)));
      }
      return pages;
    },
    /** PeerIds, as soon as there are so many. */
    connectedTo: async ({ count }) => {
      for (;;) {
        const peers = node.libp2p.getPeers();
        if (peers.length >= count) return peers.map(String);
        await new Promise((resolve) => node.libp2p.addEventListener("peer:connect", resolve, { once: true }));
      }
    },
    /** What the relay says of itself (66/WAKU2-METADATA). */
    metadata: async () => {
      const [{ id }] = await node.getConnectedPeers();
      const { shardInfo, error } = await node.libp2p.services.metadata.query(id);
      return error ?? shardInfo;
    },
    stop: () => node.stop(),
  };
}
