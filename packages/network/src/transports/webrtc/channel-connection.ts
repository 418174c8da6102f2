import type { Logger, MultiaddrConnection } from "@libp2p/interface";
import { AbstractMultiaddrConnection, type SendResult } from "@libp2p/utils";
import type { Uint8ArrayList } from "uint8arraylist";

/** Every implementation of WebRTC takes messages of this size. */
const MAX_MESSAGE_BYTES = 64 * 1024;
/** More unsent bytes than this: writers wait until half of them are gone. */
const MAX_UNSENT_BYTES = 2 * 1024 * 1024;

interface ChannelConnectionInit {
  readonly channel: RTCDataChannel;
  /** The connection to the peer as a whole. */
  readonly peer: MultiaddrConnection;
  readonly direction: "inbound" | "outbound";
  readonly log: Logger;
}

/** One data channel as a connection that carries bytes. */
export class ChannelConnection extends AbstractMultiaddrConnection {
  readonly #channel: RTCDataChannel;
  readonly #peer: MultiaddrConnection;

  constructor({ channel, peer, direction, log }: ChannelConnectionInit) {
    super({ remoteAddr: peer.remoteAddr, direction, log, maxMessageSize: MAX_MESSAGE_BYTES });
    this.#channel = channel;
    this.#peer = peer;
    channel.bufferedAmountLowThreshold = MAX_UNSENT_BYTES / 2;
    channel.addEventListener("bufferedamountlow", () => void this.safeDispatchEvent("drain"));
    channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) this.onData(new Uint8Array(data));
      else this.abort(new Error("a data channel carries only bytes"));
    });
    channel.addEventListener("close", () => void peer.close().catch((error: Error) => peer.abort(error)));
    peer.addEventListener("close", ({ error }) => this.onTransportClosed(error));
  }

  sendData(data: Uint8ArrayList): SendResult {
    try {
      this.#channel.send(data.subarray() as Uint8Array<ArrayBuffer>);
      return { sentBytes: data.byteLength, canSendMore: this.#channel.bufferedAmount < MAX_UNSENT_BYTES };
    } catch (error) {
      // The channel is gone before its "close" arrived. The muxer sends from timers: it must not throw there.
      queueMicrotask(() => this.#peer.abort(error as Error));
      return { sentBytes: data.byteLength, canSendMore: false };
    }
  }

  async sendClose(options?: { signal?: AbortSignal }): Promise<void> {
    await this.#peer.close(options);
  }

  sendReset(): void {
    this.#peer.abort(new Error("the connection was reset"));
  }

  /** The muxer never pauses a connection: its windows hold back the senders. */
  sendPause(): void {}

  sendResume(): void {}
}
