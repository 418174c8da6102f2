// Sockets that stop at some point before they are connections, on every listener that has sockets of its own.
import { once } from "node:events";
import net, { type Socket } from "node:net";
import tls from "node:tls";
import { generateCertificate } from "@libp2p/tls/utils";
import { multiaddr } from "@multiformats/multiaddr";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import type { Limits } from "../limits/limits.ts";
import { identityOf } from "../testing.ts";
import { tcp } from "./tcp.ts";
import { webSockets } from "./websockets.ts";

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
const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/** The beginning of a ClientHello. */
const HELLO = Uint8Array.of(22, 3, 1, 2, 0, 1, 0);

let host: Host;
let open: Socket[];
const start = async (limits: Partial<Limits>) => {
  const listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws", "/ip6/::1/tcp/0/ws", "/ip4/127.0.0.1/tcp/0/wss"];
  host = await createHost({ identity: identityOf(1), transports: [tcp(), webSockets()], listen, limits });
  host.useCertificate(await generateCertificate(identityOf(1).libp2pKey));
};
beforeEach(() => void (open = []));
afterEach(async () => {
  for (const socket of open) socket.destroy();
  await host.stop();
});

const END = { tcp: /tcp\/\d+\/p2p/, ws: /ip4.*\/ws\/p2p/, ws6: /ip6.*\/ws\/p2p/, wss: /\/tls\/.*ws\/p2p/ };

async function connect(kind: keyof typeof END, say: string | Uint8Array = ""): Promise<Socket> {
  const parts = multiaddr(host.multiaddrs().find((text) => END[kind].test(text))!).getComponents();
  const valueOf = (names: readonly string[]) => parts.find(({ name }) => names.includes(name))!.value!;
  const socket = net.connect({ host: valueOf(["ip4", "ip6"]), port: Number(valueOf(["tcp"])) });
  socket.on("error", () => undefined);
  open.push(socket);
  await once(socket, "connect");
  if (say.length > 0) socket.write(say);
  return socket;
}

async function secure(say: string): Promise<Socket> {
  const socket = tls.connect({ socket: await connect("wss"), rejectUnauthorized: false });
  socket.on("error", () => undefined);
  open.push(socket);
  await once(socket, "secureConnect");
  if (say !== "") socket.write(say);
  return socket;
}

/** Whether by an end or a reset. */
const ended = (socket: Socket) =>
  new Promise<void>((resolve) => {
    if (socket.destroyed) return resolve();
    socket.once("close", () => resolve()).resume();
  });

test("whatever a socket says before it falls silent, it is ended in time; a connection stays", async () => {
  // Long enough for the handshakes of the nodes below on a busy machine.
  await start({ handshakeMs: 4000 });
  const connections = [];
  for (const kind of ["tcp", "ws", "ws6", "wss"] as const) {
    const node = await createHost({ identity: identityOf(2 + connections.length), listen: [] });
    connections.push(node);
    const address = host.multiaddrs().find((text) => END[kind].test(text))!;
    if (kind !== "wss") await node.dial(address);
  }
  const silent = [
    ...(await Promise.all([connect("tcp"), connect("ws"), connect("ws6"), connect("wss")])),
    ...(await Promise.all([connect("tcp", HELLO), connect("ws", "GET / HT"), connect("wss", HELLO)])),
    ...(await Promise.all([connect("ws", UPGRADE), connect("ws6", UPGRADE), connect("ws", GET)])),
    ...(await Promise.all([secure(""), secure(UPGRADE), secure(GET)])),
  ];
  await Promise.all(silent.map(ended));
  expect(host.traffic().dropped).toEqual({ failedHandshake: silent.length });
  expect(host.connections().map(({ kind }) => kind)).toEqual(["tcp", "websockets", "websockets"]);
  await Promise.all(connections.map((node) => node.stop()));
}, 60_000);

test("sockets that say nothing are limited for each address, and a node stops without waiting for them", async () => {
  await start({ handshakeMs: 600_000, pendingPerAddress: 3 });
  const silent = await Promise.all([connect("ws"), connect("ws"), connect("ws")]);
  await expect.poll(() => host.traffic().dropped).toEqual({});
  await ended(await connect("ws"));
  expect(host.traffic().dropped).toEqual({ refusedConnection: 1 });
  expect(silent.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
  const elsewhere = await connect("ws6");
  await host.stop();
  await Promise.all([...silent, elsewhere].map(ended));
});

test("with as many as there may be, the oldest makes room", async () => {
  await start({ handshakeMs: 600_000, pendingConnections: 2 });
  const first = await connect("ws");
  const others = [await connect("ws"), await connect("ws6")];
  await ended(first);
  expect(host.traffic().dropped).toEqual({ failedHandshake: 1 });
  expect(others.map(({ destroyed }) => destroyed)).toEqual([false, false]);
});

const LENGTH = Buffer.alloc(8);
LENGTH.writeBigUInt64BE(1024n * 1024n);

test.each([
  ["a message of a megabyte, by its length", Buffer.concat([Buffer.of(0x82, 0xff), LENGTH, Buffer.alloc(4)])],
  ["a frame of an unknown kind", Buffer.of(0x87, 0x80, 0, 0, 0, 0)],
  ["a frame without a mask", Buffer.of(0x82, 1, 0)],
  ["text that is none", Buffer.of(0x81, 0x81, 0, 0, 0, 0, 0xff)],
])("over WebSockets, %s ends the connection at once, and nothing else", async (_, frame) => {
  await start({});
  const socket = await connect("ws", UPGRADE);
  await once(socket, "data");
  socket.write(frame);
  await ended(socket);
  await expect.poll(() => host.traffic().dropped.failedHandshake).toBe(1);
});

test("a connection over WebSockets that is dropped leaves no socket on either side", async () => {
  await start({});
  const node = await createHost({ identity: identityOf(2), listen: [] });
  await node.dial(host.multiaddrs().find((text) => END.ws.test(text))!);
  await expect.poll(() => host.peers()).toHaveLength(1);
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
  const before = sockets();
  for (let i = 0; i < 3; i++) host.offend(node.identity.address, "protocol");
  await expect.poll(() => node.peers()).toEqual([]);
  await expect.poll(sockets).toBe(before - 2);
  await node.stop();
});
