import dgram from "node:dgram";
import { isIPv6 } from "node:net";
import { NetworkError, reasonOf } from "../../errors.ts";
import { bindingRequest, parseBindingSuccess, type UdpAddress } from "../../nat/stun-message.ts";

/** Resent after these times, milliseconds (RFC 8489, 6.2.1, with a shorter end). */
const RESEND_MS = [300, 600, 1200];
const GIVE_UP_MS = 3000;

/** One UDP socket that asks STUN servers how the outside sees it. */
export interface StunProbe {
  readonly localPort: number;
  /** @throws NetworkError `Unreachable` when the server does not answer within 3 s */
  ask(server: UdpAddress, signal?: AbortSignal): Promise<{ readonly mapped: UdpAddress; readonly latencyMs: number }>;
  close(): void;
}

/** @param host server whose kind of address (IPv4, IPv6) the socket shall have */
export async function openStunProbe(host: string): Promise<StunProbe> {
  const socket = dgram.createSocket(isIPv6(host) ? "udp6" : "udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, () => resolve());
  });
  socket.on("error", () => undefined);
  return {
    localPort: socket.address().port,
    close: () => socket.close(),
    ask: (server, signal) => askOnce(socket, server, signal),
  };
}

async function askOnce(socket: dgram.Socket, server: UdpAddress, signal?: AbortSignal) {
  const transactionId = crypto.getRandomValues(new Uint8Array(12));
  const request = bindingRequest(transactionId);
  const { promise, resolve, reject } = Promise.withResolvers<UdpAddress>();
  const hear = (bytes: Uint8Array) => {
    const mapped = parseBindingSuccess(bytes, transactionId);
    if (mapped !== undefined) resolve(mapped);
  };
  const fail = (reason: string) =>
    reject(
      new NetworkError("Unreachable", `STUN server ${server.host}:${server.port}: ${reason}`, {
        hint: "UDP may be blocked between here and the relay",
      }),
    );
  const send = () => socket.send(request, server.port, server.host, (error) => error && fail(reasonOf(error)));
  const abort = () => reject(signal!.reason as Error);
  const timers = [...RESEND_MS.map((ms) => setTimeout(send, ms)), setTimeout(() => fail("no answer"), GIVE_UP_MS)];
  const startedMs = performance.now();
  socket.on("message", hear);
  signal?.addEventListener("abort", abort, { once: true });
  send();
  try {
    return { mapped: await promise, latencyMs: performance.now() - startedMs };
  } finally {
    timers.forEach((timer) => clearTimeout(timer));
    socket.off("message", hear);
    signal?.removeEventListener("abort", abort);
  }
}
