import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import type { Hex } from "@skynet/protocol";
import { deadlineSignal } from "../timing/delay.ts";
import type { Directory } from "../discovery/directory.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import type { Path } from "../nat/addresses.ts";
import { climb } from "../nat/climb.ts";
import { addressFromPeerId } from "../identity/identity.ts";
import type { BaseNode } from "./libp2p-node.ts";

/** A live peer negotiates a protocol within this time. */
const OPEN_TIMEOUT_MS = 10_000;
/** Enough for all rungs of the ladder. */
const DIAL_TIMEOUT_MS = 45_000;

export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the node's presence, milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Only this way, with a new connection: to find out whether it works. The caller closes it. */
  readonly path?: Path | undefined;
}

/** Address of the node at the other end; undefined for peers with another kind of key. */
export function remoteAddress(connection: Connection): Hex | undefined {
  try {
    return addressFromPeerId(connection.remotePeer);
  } catch {
    return undefined;
  }
}

/** The best open connection: one through a relay only if there is no direct one. */
function openConnection(node: BaseNode, address: Hex): Connection | undefined {
  const open = node
    .getConnections()
    .filter((connection) => connection.status === "open" && remoteAddress(connection) === address);
  return open.find(({ limits }) => limits === undefined) ?? open[0];
}

/**
 * The open connection to `address`, or a new one through the directory: direct if possible, else over WebRTC, else
 * through a relay.
 * @throws NetworkError `Unreachable`
 */
export async function connect(
  node: BaseNode,
  directory: Directory,
  address: Hex,
  options: ConnectOptions = {},
): Promise<Connection> {
  const open = options.path === undefined ? openConnection(node, address) : undefined;
  if (open !== undefined) return open;
  const { multiaddrs } = await directory.find(address, options);
  options.signal?.throwIfAborted();
  return dialAll(node, multiaddrs, options.signal, options.path);
}

/**
 * Connects to the node that all addresses belong to.
 * @param multiaddrs each ends in its PeerId
 * @throws NetworkError `BadOption`, `Unreachable`
 */
export async function dialAll(
  node: BaseNode,
  multiaddrs: readonly string[],
  signal = AbortSignal.timeout(DIAL_TIMEOUT_MS),
  path?: Path,
): Promise<Connection> {
  const peer = peerOf(multiaddrs);
  try {
    return await climb(node, { peer, multiaddrs, signal, ...(path ? { rungs: [path], fresh: true } : {}) });
  } catch (cause) {
    signal.throwIfAborted();
    throw new NetworkError("Unreachable", `${addressFromPeerId(peer)} cannot be dialled: ${reasonsOf(cause)}`, {
      cause,
      hint: `it announced ${multiaddrs.join(", ")}; npx skynet doctor network --peer ADDRESS tries each way`,
    });
  }
}

/** @throws NetworkError `BadOption`, `Unreachable` without an address */
function peerOf([text]: readonly string[]): PeerId {
  if (text === undefined) throw new NetworkError("Unreachable", "the node announced no address");
  try {
    return peerIdFromString(multiaddr(text).getComponents().at(-1)?.value ?? "");
  } catch (cause) {
    throw new NetworkError("BadOption", `not the address of a node: ${text}`, {
      cause,
      hint: "it ends in the node's PeerId, like /ip4/127.0.0.1/tcp/4000/p2p/16Uiu2...",
    });
  }
}

const reasonsOf = (error: unknown): string =>
  error instanceof AggregateError && error.errors.length > 0
    ? [...new Set(error.errors.map(reasonOf))].join("; ")
    : reasonOf(error);

/** A new stream to `address`. @throws NetworkError `Unreachable`, `Refused` when it does not speak the protocol */
export async function openStream(
  node: BaseNode,
  directory: Directory,
  address: Hex,
  protocol: string,
  options: ConnectOptions = {},
): Promise<Stream> {
  const connection = await connect(node, directory, address, options);
  const dead = () => new NetworkError("Unreachable", `${address} does not answer on its connection`);
  const deadline = deadlineSignal(OPEN_TIMEOUT_MS, dead, options.signal);
  try {
    return await connection.newStream(protocol, {
      maxOutboundStreams: 256,
      runOnLimitedConnection: true,
      signal: deadline.signal,
    });
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
