import type { MultiaddrConnection, StreamMuxerFactory, Upgrader, UpgraderOptions } from "@libp2p/interface";
import { webRTC as libp2pWebRTC, type WebRTCTransportComponents } from "@libp2p/webrtc";
import { NetworkError } from "../../errors.ts";
import { changedUpgrader, withUpgrader, type NetworkTransport } from "../transport.ts";
import { ChannelConnection } from "./channel-connection.ts";
import { acceptChannel, openChannel } from "./data-channel.ts";

const YAMUX = "/yamux/1.0.0";

/**
 * libp2p opens one data channel per stream, and WebRTC has no way to hold back a sender whose stream is not read: the
 * reader's buffer overflows and the stream is lost. Here one channel carries all streams with yamux's windows.
 */
function withYamux(upgrader: Upgrader): Upgrader {
  const muxerFactory = (): StreamMuxerFactory => {
    const yamux = upgrader.getStreamMuxers().get(YAMUX);
    if (yamux === undefined) throw new NetworkError("BadOption", "WebRTC needs yamux");
    return yamux;
  };
  const use = (peer: MultiaddrConnection, direction: "inbound" | "outbound") => (channel: RTCDataChannel) =>
    new ChannelConnection({ channel, peer, direction, log: peer.log });
  const closing = async <T>(peer: MultiaddrConnection, step: Promise<T>): Promise<T> => {
    try {
      return await step;
    } catch (error) {
      peer.abort(error as Error);
      throw error;
    }
  };
  const outbound = async (peer: MultiaddrConnection, options: UpgraderOptions) => {
    const channel = await openChannel(options.muxerFactory, use(peer, "outbound"), options.signal);
    return upgrader.upgradeOutbound(channel, { ...options, muxerFactory: muxerFactory() });
  };
  const inbound = async (peer: MultiaddrConnection, options: UpgraderOptions) => {
    const channel = await acceptChannel(options.muxerFactory, use(peer, "inbound"), options.signal);
    return upgrader.upgradeInbound(channel, { ...options, muxerFactory: muxerFactory() });
  };
  return changedUpgrader(upgrader, {
    upgradeOutbound: (peer, options) => closing(peer, outbound(peer, options)),
    upgradeInbound: (peer, options) => closing(peer, inbound(peer, options)),
  });
}

/** WebRTC gets through most NATs: both sides meet over a relay, then talk directly. In Node and in browsers. */
export function webRtc(): NetworkTransport {
  return {
    name: "webrtc",
    protection: "transport",
    listenAddress: () => "/webrtc",
    create: ({ stunServers }) => {
      const create = libp2pWebRTC({
        rtcConfiguration: () => ({ iceServers: stunServers().map((urls) => ({ urls })) }),
      });
      return (components: WebRTCTransportComponents) => {
        const changed = new Proxy(components, {
          get: (target, key) => (key === "upgrader" ? withYamux(target.upgrader) : Reflect.get(target, key)),
        });
        return withUpgrader(create(changed), withYamux);
      };
    },
  };
}
