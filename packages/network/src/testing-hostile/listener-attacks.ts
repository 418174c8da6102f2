// What hostile peers do to the listeners of a relay besides TCP: WebSockets, QUIC, STUN, and the offers of WebRTC.
import { randomBytes } from "node:crypto";
import dgram from "node:dgram";
import { concatBytes } from "@skynet/protocol";
import { bindingRequest } from "../nat/stun-message.ts";
import type { Attack } from "./attacks.ts";
import { addressOf, openSocket, type Ports, type Target } from "./client.ts";

const UPGRADE = [
  "GET / HTTP/1.1",
  "Host: localhost",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}`,
  "",
  "",
].join("\r\n");
/** The head of a masked binary message of 2^40 bytes. */
const HUGE = Uint8Array.of(0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
/** Head of a QUIC packet that begins a connection (RFC 9000, section 17.2.2); its content is no handshake. */
const QUIC_INITIAL = Uint8Array.of(0xc3, 0, 0, 0, 1, 8);
const INITIAL_BYTES = 1200;
const PARTS = 16;
const TURN_MS = 2;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Connections over WebSockets that say `words`, one after the other, and then nothing. */
const webSockets = (count: number, ...words: (() => Uint8Array | string)[]): Attack["run"] => {
  const hold = async (target: Target, k: number) => {
    while (!target.signal.aborted) {
      const socket = await openSocket(target, k, target.ports!.ws);
      const over = new Promise((resolve) => {
        socket?.resume().once("close", resolve);
        target.signal.addEventListener("abort", resolve, { once: true });
      });
      for (const word of words) {
        if (socket?.destroyed === false) socket.write(word());
        await pause(20);
      }
      if (socket !== undefined) await over;
      socket?.destroy();
      await pause(100 + Math.random() * 200);
    }
  };
  return async (target) => void (await Promise.all(Array.from({ length: count }, (_, k) => hold(target, k))));
};

/** Datagrams to a port, as fast as this process can. */
const datagrams = (port: keyof Ports, next: (i: number) => Uint8Array): Attack["run"] => {
  return async (target) => {
    const socket = dgram.createSocket("udp4").on("error", () => undefined);
    await new Promise<void>((resolve) => socket.bind(0, addressOf(target), resolve));
    for (let i = 0; !target.signal.aborted; await pause(TURN_MS))
      for (const end = i + PARTS; i < end; i++) socket.send(next(i), target.ports![port], "127.0.0.1", () => undefined);
    socket.close();
  };
};

export const listenerAttacks: Readonly<Record<string, Attack>> = {
  "WebSockets that say nothing": { outcome: "refused", run: webSockets(200) },
  "half requests for WebSockets": { outcome: "refused", run: webSockets(100, () => UPGRADE.slice(0, 60)) },
  "WebSockets without a handshake": { outcome: "refused", run: webSockets(100, () => UPGRADE) },
  "frames of WebSockets that are none": {
    outcome: "refused",
    run: webSockets(
      30,
      () => UPGRADE,
      () => concatBytes(Uint8Array.of(0x87), randomBytes(1000)),
    ),
  },
  "messages of 2^40 bytes over WebSockets": {
    outcome: "refused",
    run: webSockets(
      30,
      () => UPGRADE,
      () => concatBytes(HUGE, randomBytes(60_000)),
    ),
  },
  "STUN requests without end": { outcome: "contained", run: datagrams("stun", () => bindingRequest(randomBytes(12))) },
  "STUN requests that are none": {
    outcome: "contained",
    run: datagrams("stun", (i) => randomBytes(i % 2 === 0 ? 20 : 1400)),
  },
  "QUIC datagrams that are none": { outcome: "contained", run: datagrams("quic", () => randomBytes(INITIAL_BYTES)) },
  "QUIC connections without a handshake": {
    outcome: "contained",
    run: datagrams("quic", () => {
      const packet = randomBytes(INITIAL_BYTES);
      packet.set(QUIC_INITIAL);
      return packet;
    }),
  },
};
