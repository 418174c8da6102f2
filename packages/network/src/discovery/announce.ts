import type { RandomNumber } from "../timing/delay.ts";
import { reasonOf } from "../errors.ts";
import type { OutgoingMessage } from "../messages/envelope.ts";
import type { Log } from "../host/log.ts";
import type { Pubsub } from "../host/pubsub.ts";
import { presenceBody } from "./presence.ts";

/** Name of the topic on which nodes say where they are. */
export const PRESENCE_TOPIC = "peers";

interface Announcer {
  readonly log: Log;
  readonly random: RandomNumber;
  readonly signal: AbortSignal;
  multiaddrs(): string[];
  publish(topicName: string, message: OutgoingMessage): Promise<unknown>;
}

/** Announcements in answer to new nodes are bundled: at most one in this time. */
const BUNDLE_MS = 500;

/**
 * Announces where the host is: at start, every `presenceIntervalMs`, and soon after a neighbour or an unknown node
 * appears.
 * @returns function that announces soon
 */
export function announcePresence(
  host: Announcer,
  pubsub: Pick<Pubsub, "onNeighbour">,
  options: { role?: string; presenceIntervalMs?: number },
): () => void {
  const { role = "peer", presenceIntervalMs = 10_000 } = options;
  let timer: NodeJS.Timeout | undefined;
  const announce = () => {
    clearTimeout(timer);
    timer = undefined;
    if (host.signal.aborted) return;
    const message = { kind: "presence", job: null, body: presenceBody(host.multiaddrs(), role) };
    host.publish(PRESENCE_TOPIC, message).catch((error: unknown) => {
      if (!host.signal.aborted) host.log.warn({ error: reasonOf(error) }, "the presence could not be announced");
    });
  };
  const soon = () => {
    if (!host.signal.aborted) timer ??= setTimeout(announce, BUNDLE_MS * (0.5 + host.random() / 2));
  };
  const interval = setInterval(announce, presenceIntervalMs);
  const endNeighbours = pubsub.onNeighbour(soon);
  host.signal.addEventListener(
    "abort",
    () => {
      clearInterval(interval);
      clearTimeout(timer);
      endNeighbours();
    },
    { once: true },
  );
  announce();
  return soon;
}
