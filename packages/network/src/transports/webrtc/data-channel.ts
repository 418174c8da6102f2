import type { StreamMuxerFactory } from "@libp2p/interface";
import { NetworkError } from "../../errors.ts";
import { delay } from "../../timing/delay.ts";
import { untilAborted } from "../../timing/until-aborted.ts";

/** Name of the data channel that carries all streams of a connection. */
const LABEL = "skynet/yamux/1";
const OPEN_CHECK_MS = 20;

/** What we use of libp2p's WebRTC muxer: it holds the channels that the peer opened early. */
interface EarlyChannels {
  readonly peerConnection: RTCPeerConnection;
  readonly earlyDataChannels: readonly { readonly channel: RTCDataChannel }[];
  onEarlyDataChannel(event: RTCDataChannelEvent): void;
}

/** The WebRTC connection behind a muxer that libp2p's transport offers. */
const earlyOf = (factory: StreamMuxerFactory | undefined) => factory as unknown as EarlyChannels;

function stopCollecting({ peerConnection, onEarlyDataChannel }: EarlyChannels): void {
  peerConnection.removeEventListener("datachannel", onEarlyDataChannel);
}

const gone = () => new NetworkError("Unreachable", "the data channel was closed before it was used");

/** Its event "open" may be over before anybody listens. */
async function untilOpen(channel: RTCDataChannel, signal: AbortSignal): Promise<void> {
  while (channel.readyState === "connecting") await delay(OPEN_CHECK_MS, signal);
}

/**
 * Resolves with what `use` makes of the channel at the first message. One listener does both: browsers run what awaits
 * a promise before the next listener of the same event.
 */
function useAtFirstMessage<T>(channel: RTCDataChannel, use: (channel: RTCDataChannel) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    channel.addEventListener("message", () => resolve(use(channel)), { once: true });
    channel.addEventListener("close", () => reject(gone()), { once: true });
  });
}

/**
 * Opens the channel and waits for the other side's greeting, so that nothing is sent before it listens.
 * `use` takes the channel over in the moment of the greeting.
 */
export async function openChannel<T>(
  factory: StreamMuxerFactory | undefined,
  use: (channel: RTCDataChannel) => T,
  signal: AbortSignal,
): Promise<T> {
  const early = earlyOf(factory);
  stopCollecting(early);
  const channel = early.peerConnection.createDataChannel(LABEL);
  channel.binaryType = "arraybuffer";
  const used = await untilAborted(useAtFirstMessage(channel, use), signal);
  // Chromium may hand out the greeting first.
  await untilOpen(channel, signal);
  return used;
}

/** Waits for the channel that the other side opens, and greets it. */
export async function acceptChannel<T>(
  factory: StreamMuxerFactory | undefined,
  use: (channel: RTCDataChannel) => T,
  signal: AbortSignal,
): Promise<T> {
  const early = earlyOf(factory);
  const { promise: arrived, resolve } = Promise.withResolvers<RTCDataChannel>();
  const arrive = ({ channel }: { channel: RTCDataChannel }) => channel.label === LABEL && resolve(channel);
  early.peerConnection.addEventListener("datachannel", arrive);
  early.earlyDataChannels.forEach(arrive);
  try {
    const channel = await untilAborted(arrived, signal);
    stopCollecting(early);
    // eslint-disable-next-line unicorn/prefer-add-event-listener -- libp2p's handler closes a channel that carries much
    channel.onmessage = null;
    channel.binaryType = "arraybuffer";
    await untilOpen(channel, signal);
    const used = use(channel);
    channel.send(new Uint8Array(1));
    return used;
  } finally {
    early.peerConnection.removeEventListener("datachannel", arrive);
  }
}
