import { transports as platformTransports } from "#platform";
import { NetworkError } from "../errors.ts";
import type { Guard } from "../limits/guard.ts";
import { decodeWakuMessage } from "../messages/waku-message.ts";
import { DEFAULT_CIRCUIT_LIMITS } from "../nat/circuit-service.ts";
import { relayedListen } from "../nat/relayed-listen.ts";
import { createLightClient } from "../waku/light-client.ts";
import type { HostContext, HostParts } from "./context.ts";
import type { Drops } from "./drops.ts";
import { createLightNode, createNode, type BaseNode, type NodeOptions } from "./libp2p-node.ts";
import { createGossip, type Pubsub } from "./pubsub.ts";

/** Starts libp2p and what carries relay messages over it. @throws NetworkError `PortInUse`, `BadOption` */
export async function startNode(
  context: HostContext,
  parts: HostParts,
  guard: Guard,
): Promise<{ node: BaseNode; pubsub: Pubsub }> {
  const { options, pubsubTopic, signal } = context;
  const nodeOptions = await nodeOptionsOf(context, parts, guard);
  if (options.mode === "light") {
    const node = await createLightNode(nodeOptions);
    parts.node = node;
    return { node, pubsub: await createLightClient({ ...context, node }) };
  }
  const node = await createNode(nodeOptions);
  parts.node = node;
  return { node, pubsub: createGossip(node, pubsubTopic, signal) };
}

async function nodeOptionsOf(context: HostContext, parts: HostParts, guard: Guard): Promise<NodeOptions> {
  const { options, listen, relayService, limits, drops } = context;
  const transports = options.transports ?? (await platformTransports(context.log));
  const reservations = options.reservations ?? (relayService || listen.length === 0 ? 0 : 2);
  return {
    ...context,
    listen: [...listen, ...relayedListen(transports, reservations)],
    announce: options.announce,
    transports,
    transportContext: { stunServers: () => parts.nat?.stunServers() ?? [], reservations, limits, drops },
    circuits: relayService ? { ...DEFAULT_CIRCUIT_LIMITS, ...options.circuits } : undefined,
    guard,
    fault: (bytes) => faultOf(bytes, drops),
  };
}

/** What is wrong with a message: nodes forward Waku messages that are not too large, of any application. */
function faultOf(bytes: Uint8Array, drops: Drops): "oversized" | "undecodable" | undefined {
  try {
    decodeWakuMessage(bytes);
    return undefined;
  } catch (error) {
    const fault = error instanceof NetworkError && error.code === "TooLarge" ? "oversized" : "undecodable";
    drops.count(fault);
    return fault;
  }
}
