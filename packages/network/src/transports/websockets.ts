import type { MultiaddrConnection, Upgrader } from "@libp2p/interface";
import { webSockets as libp2pWebSockets } from "@libp2p/websockets";
import { NetworkError } from "../errors.ts";
import { createPendingSockets } from "./pending-sockets.ts";
import { changedUpgrader, ipOf, withUpgrader, type NetworkTransport } from "./transport.ts";

/** The socket of a connection; `terminate` exists on those that a listener has accepted. */
interface SocketConnection extends MultiaddrConnection {
  readonly websocket: Pick<WebSocket, "addEventListener" | "close" | "send"> & { terminate?(): void };
}

/** Largest message that we send; a receiver holds the whole of it in memory before it can use its beginning. */
const PART_BYTES = 64 * 1024;
/** Largest one that we take: Noise makes messages of 64 KiB and a little (specification, section 3). */
const MAX_MESSAGE_BYTES = 2 * PART_BYTES;

/** TLS makes one message of whatever is written at once, up to megabytes. */
function sendInParts({ websocket }: SocketConnection): void {
  const send = websocket.send.bind(websocket) as (bytes: Uint8Array) => void;
  const inParts = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length; at += PART_BYTES) send(bytes.subarray(at, at + PART_BYTES));
  };
  websocket.send = inParts as WebSocket["send"];
}

/**
 * libp2p does not listen to a socket's errors, so that the first malformed frame of anybody would end the process; and
 * it aborts with a code that may not be sent, which throws and leaves the socket open.
 */
function endWithSocket(connection: SocketConnection): void {
  const { websocket } = connection;
  websocket.addEventListener("error", () =>
    connection.abort(new NetworkError("Malformed", "the peer broke the rules of WebSockets")),
  );
  const end = () => {
    if (connection.status !== "aborted") return;
    if (websocket.terminate) websocket.terminate();
    else websocket.close();
  };
  connection.addEventListener("close", end, { once: true });
}

const mended = (upgrader: Upgrader): Upgrader =>
  changedUpgrader(upgrader, {
    upgradeInbound(connection, options) {
      sendInParts(connection as SocketConnection);
      endWithSocket(connection as SocketConnection);
      return upgrader.upgradeInbound(connection, options);
    },
    upgradeOutbound(connection, options) {
      sendInParts(connection as SocketConnection);
      endWithSocket(connection as SocketConnection);
      return upgrader.upgradeOutbound(connection, options);
    },
  });

/** WebSockets: what browsers and strict proxies let through. Browsers dial, Node also listens. */
export function webSockets(): NetworkTransport {
  return {
    name: "websockets",
    protection: "host",
    listenAddress: (host, port) => `${ipOf(host)}/tcp/${port}/ws`,
    create: (context) => (components) => {
      const sockets = createPendingSockets({ ...context, maxMessageBytes: MAX_MESSAGE_BYTES });
      const transport = withUpgrader(libp2pWebSockets()(components), (upgrader) => sockets.upgrader(mended(upgrader)));
      const createListener = transport.createListener.bind(transport);
      transport.createListener = (options) => sockets.watch(createListener(options));
      return transport;
    },
  };
}
