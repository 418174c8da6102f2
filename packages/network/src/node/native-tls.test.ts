import { afterEach, expect, test } from "vitest";
import type { ConnectionEncrypter } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { tls, type TLSComponents } from "@libp2p/tls";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";
import { frame } from "../host/framed-stream.ts";
import { identityOf } from "../testing.ts";
import { nativeTls } from "./native-tls.ts";

const nodes: Libp2p[] = [];
afterEach(async () => void (await Promise.all(nodes.splice(0).map((node) => node.stop()))));

const PROTOCOL = "/echo/1";
type Encrypter = (components: TLSComponents & Parameters<ReturnType<typeof noise>>[0]) => ConnectionEncrypter;

async function start(n: number, encrypter: Encrypter): Promise<Libp2p> {
  const node = await createLibp2p({
    privateKey: identityOf(n).libp2pKey,
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [tcp()],
    connectionEncrypters: [encrypter],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
  });
  await node.handle(PROTOCOL, async (stream) => {
    const framed = frame(stream);
    await framed.write((await framed.read(2 ** 21))!);
    await framed.close();
  });
  nodes.push(node);
  return node;
}

test.each([
  ["ours with ours", nativeTls(), nativeTls()],
  ["ours with @libp2p/tls", nativeTls(), tls()],
  ["@libp2p/tls with ours", tls(), nativeTls()],
])("%s: the peers know each other and a megabyte comes back whole", async (_name, dialler, listener) => {
  const [a, b] = await Promise.all([start(1, dialler), start(2, listener)]);
  const connection = await a.dial(b.getMultiaddrs());
  expect(connection.encryption).toBe("/tls/1.0.0");
  expect(connection.remotePeer.toString()).toBe(identityOf(2).peerId.toString());
  const stream = frame(await connection.newStream(PROTOCOL));
  const sent = Uint8Array.from({ length: 2 ** 20 }, (_, i) => i * 31);
  await stream.write(sent);
  expect(Buffer.compare((await stream.read(2 ** 21))!, sent)).toBe(0);
  expect(b.getPeers().map(String)).toEqual([identityOf(1).peerId.toString()]);
  await connection.close();
});

test("a node with another key than expected is not talked to, and neither is one without TLS", async () => {
  const [a, b, c] = await Promise.all([start(1, nativeTls()), start(2, nativeTls()), start(3, noise())]);
  const place = b.getMultiaddrs()[0]!.toString().split("/p2p/")[0]!;
  const wrong = multiaddr(`${place}/p2p/${identityOf(4).peerId.toString()}`);
  await expect(a.dial(wrong)).rejects.toThrow(/peer/i);
  await expect(a.dial(c.getMultiaddrs())).rejects.toThrow();
  expect(a.getConnections()).toEqual([]);
});

type PrivateKey = TLSComponents["privateKey"];

/** The key of node 2 in a certificate of node 3, which cannot sign with it. */
const [victim, thief] = [identityOf(2).libp2pKey, identityOf(3).libp2pKey];
const claim = (sign: PrivateKey["sign"]): PrivateKey =>
  ({ type: "secp256k1", publicKey: victim.publicKey, sign }) as PrivateKey;
const forger =
  (privateKey: PrivateKey): Encrypter =>
  (components) =>
    nativeTls()(Object.create(components, { privateKey: { value: privateKey } }) as TLSComponents);

test.each([
  ["signed by another key", claim((data, options) => thief.sign(data, options))],
  ["signed for another certificate", claim((data, options) => victim.sign(data.subarray(1), options))],
])("a certificate whose libp2p extension is %s is refused by both sides", async (_name, privateKey) => {
  const [honest, forging] = await Promise.all([start(1, nativeTls()), start(3, forger(privateKey))]);
  const met: string[] = [];
  honest.addEventListener("connection:open", ({ detail }) => void met.push(detail.remotePeer.toString()));
  const [place] = forging.getMultiaddrs()[0]!.toString().split("/p2p/");
  const pretended = multiaddr(`${place}/p2p/${identityOf(2).peerId.toString()}`);
  await expect(honest.dial(pretended)).rejects.toThrow("Could not verify signature");

  // In TLS 1.3 the client has done its part before the server looks at the certificate.
  await forging.dial(honest.getMultiaddrs()).catch(() => undefined);
  await expect.poll(() => forging.getConnections()).toEqual([]);
  expect(honest.getConnections()).toEqual([]);
  expect(met).toEqual([]);
});
