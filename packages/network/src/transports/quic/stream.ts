import { AbstractStream, type AbstractStreamInit, type SendResult } from "@libp2p/utils";
import { Uint8ArrayList } from "uint8arraylist";
import type { NativeStream } from "./native.ts";

const READ_BYTES = 64 * 1024;

/**
 * A QUIC stream that stops reading while it is paused, so that QUIC's window holds back the sender. The library's own
 * one reads on until its buffer overflows, and takes a reset by the peer for a regular end.
 */
export class QuicStream extends AbstractStream {
  readonly #native: NativeStream;
  #resumed: PromiseWithResolvers<void> | undefined;

  constructor(init: AbstractStreamInit & { native: NativeStream }) {
    super(init);
    this.#native = init.native;
    void this.#readAll();
  }

  async #readAll(): Promise<void> {
    try {
      for (;;) {
        await this.#resumed?.promise;
        const chunk = await this.#native.read(READ_BYTES);
        if (chunk === null || chunk === undefined) break;
        this.onData(new Uint8ArrayList(chunk));
      }
      this.onRemoteCloseWrite();
    } catch {
      // Reset by the peer, or the connection is gone: its reason arrives with the connection's close.
      if (this.status === "open" || this.status === "closing") this.onRemoteReset();
    }
  }

  sendData(data: Uint8ArrayList): SendResult {
    this.#native.write(data.subarray()).then(
      () => this.safeDispatchEvent("drain"),
      (error: Error) => this.abort(error),
    );
    return { sentBytes: data.byteLength, canSendMore: false };
  }

  sendReset(): void {
    this.#release();
    void this.#native.resetWrite();
    void this.#native.stopRead();
  }

  async sendCloseWrite(): Promise<void> {
    await this.#native.finishWrite();
  }

  /** Goes on reading, and throws away: only so the peer's end is seen. */
  async sendCloseRead(): Promise<void> {
    this.#release();
  }

  sendPause(): void {
    this.#resumed ??= Promise.withResolvers();
  }

  sendResume(): void {
    this.#release();
  }

  #release(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }
}
