import type { MultiaddrConnection, StreamMuxerFactory } from "@libp2p/interface";
import { AbstractStreamMuxer } from "@libp2p/utils";
import type { NativeConnection, NativeStream } from "./native.ts";
import { QuicStream } from "./stream.ts";

/** Streams that peers may open before the host is ready for them. */
const MAX_EARLY_STREAMS = 64;

class QuicMuxer extends AbstractStreamMuxer<QuicStream> {
  readonly #connection: NativeConnection;

  constructor(maConn: MultiaddrConnection, connection: NativeConnection) {
    super(maConn, { protocol: "quic", name: "muxer", maxEarlyStreams: MAX_EARLY_STREAMS });
    this.#connection = connection;
    void this.#acceptAll(maConn);
  }

  async #acceptAll(maConn: MultiaddrConnection): Promise<void> {
    try {
      while (maConn.status === "open")
        this.onRemoteStream(this.#wrap(await this.#connection.inboundStream(), "inbound"));
    } catch (error) {
      if (maConn.status === "open") maConn.abort(error as Error);
    }
  }

  #wrap(native: NativeStream, direction: "inbound" | "outbound"): QuicStream {
    const id = native.id();
    return new QuicStream({ native, id, direction, log: this.log.newScope(`${direction}:${id}`) });
  }

  async onCreateStream(): Promise<QuicStream> {
    return this.#wrap(await this.#connection.outboundStream(), "outbound");
  }

  /** QUIC has no bytes outside streams. */
  onData(): void {}
}

/** Muxer of one QUIC connection. */
export function quicMuxer(connection: NativeConnection): StreamMuxerFactory {
  return {
    protocol: "quic",
    createStreamMuxer: (stream) => new QuicMuxer(stream as MultiaddrConnection, connection),
  };
}
