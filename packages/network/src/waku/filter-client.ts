import type { Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { proto_filter_v2, proto_message } from "@waku/proto";
import type { Drops } from "../host/drops.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { MAX_MESSAGE_BYTES } from "../messages/waku-message.ts";
import { FilterSessions } from "./filter-sessions.ts";
import { FILTER_PUSH_PROTOCOL } from "./protocols.ts";

const { MessagePush } = proto_filter_v2;

const PING_EVERY_MS = 10_000;
/** After these, other relays may be there to push to us. */
const PEER_EVENTS = ["peer:identify", "peer:update", "peer:disconnect"] as const;

interface FilterOptions {
  readonly node: BaseNode;
  readonly pubsubTopic: string;
  readonly drops: Drops;
  readonly log: Log;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly signal: AbortSignal;
  /** Whether a message is not one that we had, or sent. */
  readonly isNew: (bytes: Uint8Array) => boolean;
  readonly onMessage: (bytes: Uint8Array) => void;
  /** Called when a relay has begun to push all that is wanted. */
  readonly onReady: () => void;
}

/** Hears the messages of content topics from relays (12/WAKU2-FILTER). */
export interface FilterClient {
  want(contentTopic: string, wanted: boolean): void;
  /** Whether a relay pushes all that is wanted. */
  ready(): boolean;
}

export async function startFilter(options: FilterOptions): Promise<FilterClient> {
  const { node, signal } = options;
  const sessions = new FilterSessions(options);
  await servePushes(options, (peer, topic) => sessions.expects(peer, topic));
  const changed = () => void sessions.reconcile();
  const timer = setInterval(() => void sessions.ping(), PING_EVERY_MS);
  for (const event of PEER_EVENTS) node.addEventListener(event, changed);
  const end = () => {
    clearInterval(timer);
    for (const event of PEER_EVENTS) node.removeEventListener(event, changed);
  };
  signal.addEventListener("abort", end, { once: true });
  return {
    ready: () => sessions.ready(),
    want: (contentTopic, wanted) => sessions.want(contentTopic, wanted),
  };
}

/** Takes what relays push, once, and only what we asked them for. */
async function servePushes(
  { node, pubsubTopic, drops, isNew, onMessage }: FilterOptions,
  isWanted: (peer: string, contentTopic: string) => boolean,
): Promise<void> {
  const take = (peer: string, frame: Uint8Array) => {
    const push = MessagePush.decode(frame);
    const message = push.wakuMessage;
    if (message === undefined || push.pubsubTopic !== pubsubTopic || !isWanted(peer, message.contentTopic))
      return drops.count("unsolicited");
    const bytes = proto_message.WakuMessage.encode(message);
    if (isNew(bytes)) onMessage(bytes);
  };
  const serve = async (stream: Stream, peer: string) => {
    const frames = lpStream(stream, { maxDataLength: MAX_MESSAGE_BYTES + 1024 });
    try {
      for (;;) take(peer, (await frames.read()).subarray());
    } catch (error) {
      // The end of the stream is an error too.
      if (stream.status === "open" && stream.remoteWriteStatus !== "closed") {
        drops.count("badStream");
        stream.abort(error as Error);
      } else await stream.close().catch(() => undefined);
    }
  };
  await node.handle(FILTER_PUSH_PROTOCOL, (stream, { remotePeer }) => serve(stream, remotePeer.toString()), {
    maxInboundStreams: 16,
  });
}
