// What somebody who records a connection and steals both nodes' keys later can do with it: nothing.
import net from "node:net";
import type { ConnectionEncrypter, Libp2p } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { toHex } from "@skynet/protocol";
import { createLibp2p } from "libp2p";
import { afterEach, describe, expect, it } from "vitest";
import { nativeTls } from "../node/native-tls.ts";
import { identityOf } from "../testing.ts";

type Encrypter = (components: never) => ConnectionEncrypter;

const PROTOCOL = "/test/secret/1";
const CONTENT = new TextEncoder().encode("weights of the model ".repeat(800));
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(n: number, encrypter: Encrypter, listen: string[]): Promise<Libp2p> {
  const node = await createLibp2p({
    privateKey: identityOf(n).libp2pKey,
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [encrypter as never],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
  });
  closing.push(() => node.stop());
  return node;
}

/** All bytes of a connection between the same two identities over which the content was sent. */
async function record(encrypter: Encrypter): Promise<{ sent: Buffer; received: Buffer }> {
  const server = await start(1, encrypter, ["/ip4/127.0.0.1/tcp/0"]);
  const arrived = Promise.withResolvers<void>();
  await server.handle(PROTOCOL, (stream) => {
    let bytes = 0;
    stream.addEventListener("message", ({ data }) => {
      bytes += data.byteLength;
      if (bytes === CONTENT.length) arrived.resolve();
    });
  });
  const sent: Buffer[] = [];
  const received: Buffer[] = [];
  const target = Number(server.getMultiaddrs()[0]!.toString().split("/")[4]);
  const eavesdropper = net.createServer((socket) => {
    const onward = net.connect(target, "127.0.0.1");
    for (const end of [socket, onward]) end.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => sent.push(chunk)).pipe(onward);
    onward.on("data", (chunk: Buffer) => received.push(chunk)).pipe(socket);
  });
  await new Promise<void>((resolve) => eavesdropper.listen(0, "127.0.0.1", resolve));
  const { port } = eavesdropper.address() as net.AddressInfo;
  const client = await start(2, encrypter, []);
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${port}/p2p/${server.peerId.toString()}`);
  const stream = await client.dialProtocol(address, PROTOCOL);
  stream.send(CONTENT);
  await arrived.promise;
  await client.stop();
  await server.stop();
  eavesdropper.close();
  return { sent: Buffer.concat(sent), received: Buffer.concat(received) };
}

/** Key share of the server in TLS 1.3: made for this connection alone. */
function tlsKeyShare(received: Buffer): { version: number; share: string; extensions: number[] } {
  const at = received.indexOf(Buffer.from([0x16, 0x03, 0x03]));
  const hello = received.subarray(at + 5);
  expect(hello[0], "a ServerHello").toBe(2);
  let offset = 4 + 2 + 32;
  offset += 1 + hello[offset]! + 3;
  const end = offset + 2 + hello.readUInt16BE(offset);
  const found = { version: 0, share: "", extensions: [] as number[] };
  for (offset += 2; offset < end;) {
    const type = hello.readUInt16BE(offset);
    const value = hello.subarray(offset + 4, offset + 4 + hello.readUInt16BE(offset + 2));
    found.extensions.push(type);
    if (type === 43) found.version = value.readUInt16BE(0);
    if (type === 51) found.share = toHex(value.subarray(4));
    offset += 4 + value.length;
  }
  return found;
}

/** First message of Noise XX: the ephemeral key of the dialler. */
function noiseEphemeral(sent: Buffer): string {
  const name = Buffer.from("/noise\n");
  const at = sent.lastIndexOf(name) + name.length;
  expect(sent.readUInt16BE(at)).toBe(32);
  return toHex(sent.subarray(at + 2, at + 34));
}

/** Pieces of the last part of a record, which is encrypted content. */
function pieces(bytes: Buffer): Set<string> {
  const last = bytes.subarray(-CONTENT.length);
  return new Set(Array.from({ length: last.length - 16 }, (_, i) => last.toString("latin1", i, i + 16)));
}

describe.each<[string, Encrypter]>([
  ["TLS", nativeTls()],
  ["Noise", noise() as unknown as Encrypter],
])("a recorded connection over %s", (name, encrypter) => {
  it("holds neither content nor keys, and shares no session key with the next one of the same nodes", async () => {
    const [first, second] = [await record(encrypter), await record(encrypter)];
    for (const { sent, received } of [first, second])
      for (const bytes of [sent, received]) {
        expect(bytes.includes("weights of the model")).toBe(false);
        for (const n of [1, 2]) expect(bytes.includes(Buffer.from(identityOf(n).privateKey))).toBe(false);
      }
    // The same content under the same session key and position would give the same bytes.
    const before = pieces(first.sent);
    expect([...pieces(second.sent)].filter((piece) => before.has(piece))).toEqual([]);
    if (name === "Noise") return expect(noiseEphemeral(first.sent)).not.toBe(noiseEphemeral(second.sent));
    const shares = [first, second].map(({ received }) => tlsKeyShare(received));
    for (const { version, share, extensions } of shares) {
      expect(version, "TLS 1.3: keys come from a fresh Diffie-Hellman alone").toBe(0x0304);
      expect(share.length).toBeGreaterThan(64);
      expect(extensions, "no session is resumed").not.toContain(41);
    }
    expect(shares[0]!.share).not.toBe(shares[1]!.share);
  });
});
