import dgram from "node:dgram";
import { once } from "node:events";
import { isIPv6, type AddressInfo } from "node:net";
import { NetworkError, reasonOf } from "../../errors.ts";
import { bindingError, bindingSuccess, parseBindingRequest } from "../../nat/stun-message.ts";
import { groupOfIp } from "../../ip/group.ts";
import { createPeerLimiter, createTokenBucket, type Rate } from "../../timing/token-bucket.ts";

export interface StunServerOptions {
  /** Address to serve on; `0.0.0.0` and `::` serve IPv6 too where the machine has it. */
  readonly host: string;
  /** UDP port, served together with the next one; 0 for two free ones. */
  readonly port: number;
  /** Requests of one address, or /64 in IPv6 (20 a second, 60 at once). */
  readonly perSource?: Rate;
  /** Requests of all together (5000 a second). */
  readonly ofAll?: Rate;
  readonly clock?: () => number;
}

/** A STUN server: tells who asks from which address the question came. */
export interface StunServer {
  readonly port: number;
  /** Another port of the same server: a NAT that maps it differently is symmetric. */
  readonly alternatePort: number;
  /** Requests that were answered. */
  answered(): number;
  stop(): Promise<void>;
}

const MAX_REQUEST_BYTES = 548;

/**
 * STUN Binding over UDP (RFC 8489). An answer is at most 24 bytes longer than its question, and sources are limited, so
 * it is no help for an attack with forged sources.
 * @throws NetworkError `PortInUse`, `BadOption`
 */
export async function startStunServer(options: StunServerOptions): Promise<StunServer> {
  const { host, port, clock = () => performance.now(), perSource = { perSecond: 20, burst: 60 } } = options;
  const mayAsk = createPeerLimiter(perSource, clock);
  const all = createTokenBucket(options.ofAll ?? { perSecond: 5000, burst: 5000 }, clock);
  const sockets: dgram.Socket[] = [];
  let answered = 0;
  const serve = (socket: dgram.Socket) =>
    socket.on("message", (bytes, from) => {
      const request = bytes.length <= MAX_REQUEST_BYTES ? parseBindingRequest(bytes) : undefined;
      if (request === undefined || !mayAsk(groupOfIp(from.address).key) || !all.take()) return;
      answered += 1;
      const { transactionId, unknown } = request;
      const answer =
        unknown.length > 0
          ? bindingError(transactionId, unknown)
          : bindingSuccess(transactionId, { host: from.address, port: from.port });
      socket.send(answer, from.port, from.address, () => undefined);
    });
  const open = async (wanted: number): Promise<number> => {
    const socket = await bind(host, wanted);
    sockets.push(serve(socket));
    const { port: bound } = socket.address() as AddressInfo;
    if (host === "0.0.0.0")
      await bind("::", bound).then(
        (socket6) => sockets.push(serve(socket6)),
        () => undefined, // no IPv6 here
      );
    return bound;
  };
  const stop = async () => {
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  };
  try {
    const bound = await open(port);
    const alternate = port === 0 ? 0 : port < 65_535 ? port + 1 : port - 1;
    return { port: bound, alternatePort: await open(alternate), answered: () => answered, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @throws NetworkError `PortInUse`, `BadOption` */
async function bind(host: string, port: number): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type: isIPv6(host) ? "udp6" : "udp4", ipv6Only: isIPv6(host) });
  try {
    socket.bind(port, host);
    await once(socket, "listening");
    socket.on("error", () => undefined); // of single answers that cannot be sent
    return socket;
  } catch (cause) {
    socket.close();
    const inUse = reasonOf(cause).includes("EADDRINUSE");
    throw new NetworkError(inUse ? "PortInUse" : "BadOption", `no STUN on UDP ${host}:${port}: ${reasonOf(cause)}`, {
      cause,
      hint: "choose another port, or 0 for a free one",
    });
  }
}
