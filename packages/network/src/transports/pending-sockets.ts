import type { Listener, Upgrader } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import type { Drops } from "../host/drops.ts";
import { liableGroup } from "../limits/address.ts";
import type { Limits } from "../limits/limits.ts";
import { changedUpgrader, ipOf } from "./transport.ts";

/** What we use of a socket and a server of Node. */
interface Socket {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  destroy(): void;
  once(event: "close", listener: () => void): void;
}

/** What we use of a listener for WebSockets besides its public face. */
interface SocketListener extends Listener {
  readonly server: { prependListener(event: "connection", listener: (socket: Socket) => void): void };
  readonly wsServer: { readonly options: { maxPayload: number } };
}

interface Pending {
  readonly socket: Socket;
  readonly group: string | undefined;
  readonly timer: ReturnType<typeof setTimeout>;
  /** libp2p has it, and counts by itself what fails. */
  upgrading: boolean;
}

export interface PendingSocketsOptions {
  readonly limits: Limits;
  readonly drops: Pick<Drops, "count">;
  /** A larger message ends its connection. */
  readonly maxMessageBytes: number;
}

/** Sockets that a listener has accepted and that are no connection of libp2p yet. */
export interface PendingSockets {
  /** Watches the sockets of a listener. */
  watch(listener: Listener): Listener;
  /** An upgrader that ends the watch of a socket with its handshake. */
  upgrader(upgrader: Upgrader): Upgrader;
}

/**
 * Ends sockets whose handshake (first byte, TLS, HTTP upgrade, and libp2p's own) takes longer than `handshakeMs`, and
 * bounds their number: libp2p looks at a connection over WebSockets only when its HTTP upgrade is over.
 */
export function createPendingSockets({ limits, drops, maxMessageBytes }: PendingSocketsOptions): PendingSockets {
  const pending = new Map<string, Pending>();
  const settle = (key: string): void => {
    clearTimeout(pending.get(key)?.timer);
    pending.delete(key);
  };
  const end = (key: string, reason: "failedHandshake" | "refusedConnection") => {
    const { socket, upgrading } = pending.get(key)!;
    settle(key);
    if (!upgrading) drops.count(reason);
    socket.destroy();
  };
  const accept = (socket: Socket) => {
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined || remotePort === undefined) return socket.destroy(); // It is gone already.
    // A link-local address comes with its interface.
    const address = multiaddr(`${ipOf(remoteAddress.split("%")[0]!)}/tcp/${remotePort}`);
    const key = address.toString();
    const group = liableGroup(address, limits);
    const timer = setTimeout(() => end(key, "failedHandshake"), limits.handshakeMs);
    pending.set(key, { socket, group, timer, upgrading: false });
    socket.once("close", () => {
      if (pending.get(key)?.socket === socket) settle(key);
    });
    const ofGroup = group === undefined ? 0 : [...pending.values()].filter((other) => other.group === group).length;
    if (ofGroup > limits.pendingPerAddress) return end(key, "refusedConnection");
    // The longest pending makes room: a real handshake is shorter than one that is kept open.
    if (pending.size > limits.pendingConnections) end(pending.keys().next().value!, "failedHandshake");
  };
  return {
    watch(listener) {
      const { server, wsServer } = listener as SocketListener;
      server.prependListener("connection", accept);
      wsServer.options.maxPayload = maxMessageBytes;
      const close = listener.close.bind(listener);
      listener.close = async () => {
        const closed = close();
        // The listener does not know the silent ones, and would wait for them.
        for (const { socket } of pending.values()) socket.destroy();
        await closed;
      };
      return listener;
    },
    upgrader: (upgrader) =>
      changedUpgrader(upgrader, {
        upgradeOutbound: (connection, options) => upgrader.upgradeOutbound(connection, options),
        async upgradeInbound(connection, options) {
          const key = connection.remoteAddr.decapsulate("/ws").toString();
          const socket = pending.get(key);
          if (socket !== undefined) socket.upgrading = true;
          await upgrader.upgradeInbound(connection, options);
          settle(key);
        },
      }),
  };
}
