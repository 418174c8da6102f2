import type { StreamMuxerFactory } from "@libp2p/interface";
import { isDirect, type DirectConnection } from "../host/direct-read.ts";
import type { Limits } from "./limits.ts";
import { watchFrames, type WatchedConnection } from "./watch-frames.ts";

interface MuxerOptions {
  readonly limits: Limits;
  readonly clock: () => number;
  /** Gets the connections while they are open. */
  readonly watched: Set<WatchedConnection>;
}

/** Watches the frames of each connection that a multiplexer gets. @returns the same factory */
export function guardMuxer(factory: StreamMuxerFactory, { limits, clock, watched }: MuxerOptions): StreamMuxerFactory {
  const create = factory.createStreamMuxer.bind(factory);
  factory.createStreamMuxer = (connection) => {
    let muxer: ReturnType<typeof create> | undefined;
    const watchedConnection = watchFrames(connection, { limits, clock, muxer: () => muxer });
    watched.add(watchedConnection);
    connection.addEventListener("close", () => watched.delete(watchedConnection), { once: true });
    const created = create(connection);
    muxer = created;
    if (isDirect(connection)) watchDirect(connection, watchedConnection);
    // A multiplexer that gives up leaves the connection open, without any use.
    const abort = created.abort.bind(created);
    created.abort = (error) => {
      abort(error);
      connection.abort(error);
    };
    return created;
  };
  return factory;
}

/** Shows the multiplexer's bytes to the watcher first. */
function watchDirect(connection: DirectConnection, watched: WatchedConnection): void {
  const { onBytes } = connection;
  if (onBytes === undefined) return;
  connection.onBytes = (chunk) => {
    watched.see(chunk);
    onBytes(chunk);
  };
}
