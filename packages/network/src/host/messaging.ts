import type { Guard } from "../limits/guard.ts";
import { createInbox } from "../messages/inbox.ts";
import { createPublisher } from "../messages/publish.ts";
import { contentTopicOf } from "../messages/waku-message.ts";
import { fetchHistory } from "../waku/history.ts";
import { serveWaku } from "../waku/services.ts";
import type { HostContext } from "./context.ts";
import type { BaseNode } from "./libp2p-node.ts";
import type { Pubsub } from "./pubsub.ts";
import type { Host } from "./types.ts";

/** Relay messages of a host. */
export type Messaging = Pick<Host, "publish" | "subscribe" | "tap" | "history" | "serviceSize">;

interface Modules {
  readonly node: BaseNode;
  readonly pubsub: Pubsub;
  readonly guard: Guard;
  /** Our addresses for others, the best first. */
  readonly announced: () => readonly string[];
}

/** Starts to hear relay messages; a relay's services as well. */
export async function startMessaging(context: HostContext, modules: Modules): Promise<Messaging> {
  const { options, identity, pubsubTopic, drops, log, clock, signal } = context;
  const { node, pubsub } = modules;
  const onTopic = (contentTopic: string, wanted: boolean) => pubsub.want(contentTopic, wanted);
  const inbox = createInbox({ self: identity.address, drops, log, onTopic });
  const listeners = new Set<(bytes: Uint8Array) => void>([inbox.receive]);
  const hear = (bytes: Uint8Array) => listeners.forEach((listener) => listener(bytes));
  pubsub.onMessage(hear);
  const services = context.relayService ? await startServices(context, modules, hear) : undefined;
  if (services) listeners.add(services.hear);
  const send = (bytes: Uint8Array) => {
    services?.hear(bytes);
    return pubsub.publish(bytes);
  };
  const receive = (bytes: Uint8Array) => inbox.receiveOld(bytes) === undefined;
  return {
    publish: createPublisher({ identity, clock, randomBytes: options.randomBytes, signal, send }),
    subscribe: inbox.subscribe,
    tap(listener) {
      const each = (bytes: Uint8Array) => listener(bytes);
      listeners.add(each);
      return () => void listeners.delete(each);
    },
    history: (name, range) => fetchHistory({ node, pubsubTopic, log, signal, receive }, contentTopicOf(name), range),
    serviceSize: () => services?.size(),
  };
}

/** @param hear gets the messages that light nodes push */
function startServices(context: HostContext, modules: Modules, hear: (bytes: Uint8Array) => void) {
  const { node, pubsub, guard, announced } = modules;
  const relay = async (bytes: Uint8Array) => {
    hear(bytes);
    // gossipsub would remember what nobody took, and not send it when it is pushed again.
    return node.getPeers().some(pubsub.isNeighbour) ? pubsub.publish(bytes) : 0;
  };
  return serveWaku(
    { ...context, node, offend: guard.offend },
    { ...context, announced, relay },
    context.options.services ?? {},
  );
}
