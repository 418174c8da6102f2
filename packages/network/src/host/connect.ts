import type { Connection, Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import type { Hex } from "@skynet/protocol";
import { deadlineSignal } from "../timing/delay.ts";
import type { Directory } from "../discovery/directory.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { addressFromPeerId } from "../identity/identity.ts";
import type { Node } from "./libp2p-node.ts";

/** A live peer negotiates a protocol within this time. */
const OPEN_TIMEOUT_MS = 10_000;

export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the node's presence, milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** Address of the node at the other end; undefined for peers with another kind of key. */
export function remoteAddress(connection: Connection): Hex | undefined {
  try {
    return addressFromPeerId(connection.remotePeer);
  } catch {
    return undefined;
  }
}

/** The open connection to `address`, or a new one through the directory. @throws NetworkError `Unreachable` */
export async function connect(
  node: Node,
  directory: Directory,
  address: Hex,
  options: ConnectOptions = {},
): Promise<Connection> {
  const open = node
    .getConnections()
    .find((connection) => connection.status === "open" && remoteAddress(connection) === address);
  if (open !== undefined) return open;
  const { multiaddrs } = await directory.find(address, options);
  options.signal?.throwIfAborted();
  try {
    return await node.dial(multiaddrs.map(multiaddr), options.signal ? { signal: options.signal } : {});
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new NetworkError("Unreachable", `${address} cannot be dialled: ${reasonOf(cause)}`, {
      cause,
      hint: `it announced ${multiaddrs.join(", ") || "no address"}`,
    });
  }
}

/** A new stream to `address`. @throws NetworkError `Unreachable`, `Refused` when it does not speak the protocol */
export async function openStream(
  node: Node,
  directory: Directory,
  address: Hex,
  protocol: string,
  options: ConnectOptions = {},
): Promise<Stream> {
  const connection = await connect(node, directory, address, options);
  const dead = () => new NetworkError("Unreachable", `${address} does not answer on its connection`);
  const deadline = deadlineSignal(OPEN_TIMEOUT_MS, dead, options.signal);
  try {
    return await connection.newStream(protocol, { maxOutboundStreams: 256, signal: deadline.signal });
  } catch (cause) {
    options.signal?.throwIfAborted();
    // The other machine may be gone without a word: the next attempt dials it again.
    if (deadline.signal.aborted) connection.abort(dead());
    if (cause instanceof Error && cause.name === "UnsupportedProtocolError")
      throw new NetworkError("Refused", `${address} does not serve ${protocol}`, { cause });
    throw new NetworkError("Unreachable", `no stream to ${address}: ${reasonOf(cause)}`, { cause });
  } finally {
    deadline.clear();
  }
}
