import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { multiaddr } from "@multiformats/multiaddr";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Host } from "../host/types.ts";
import { createHost } from "../host/host.ts";
import { openStunProbe } from "../node/stun/stun-client.ts";
import { startStunServer, type StunServer } from "../node/stun/stun-server.ts";
import { identityOf, until } from "../testing.ts";
import { chooseAnnounced } from "./announced.ts";
import { classifyNat } from "./classify.ts";
import { firstOf } from "./first-of.ts";
import { agreedAddresses } from "./opinions.ts";
import { askDialBack } from "./reach-client.ts";
import { bindingRequest, bindingSuccess, parseBindingSuccess } from "./stun-message.ts";

const ID = "16Uiu2HAm1G7VSPBTXZQM2qhyuXu4arUdXFetbiXSKMXUz1Q939MG";
const RELAYS = [identityOf(61), identityOf(62), identityOf(63)].map(({ peerId }) => peerId.toString());

test("answers are those of RFC 5769's test vectors", () => {
  const id = Uint8Array.from(Buffer.from("b7e7a701bc34d686fa87dfae", "hex"));
  const v4 = bindingSuccess(id, { host: "192.0.2.1", port: 32_853 });
  expect(Buffer.from(v4.subarray(20)).toString("hex")).toBe("002000080001a147e112a643");
  const v6 = bindingSuccess(id, { host: "2001:db8:1234:5678:11:2233:4455:6677", port: 32_853 });
  expect(Buffer.from(v6.subarray(20)).toString("hex")).toBe("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9");
  expect(parseBindingSuccess(v6, id)).toEqual({ host: "2001:db8:1234:5678:11:2233:4455:6677", port: 32_853 });
  expect(
    parseBindingSuccess(
      v4,
      id.map((byte) => byte ^ 1),
    ),
  ).toBeUndefined();
});

let stun: StunServer;
let relay: Host;
/** As any relay is: it takes nobody on the loopback interface for the owner of what is there. */
let proxied: Host;
let node: Host;
beforeAll(async () => {
  stun = await startStunServer({ host: "0.0.0.0", port: 0, perSource: { perSecond: 0.001, burst: 8 } });
  const relayOptions = { relayService: true, role: "relay", stun: { port: 0 } };
  relay = await createHost({ ...relayOptions, identity: identityOf(90), dialBackTo: ["loopback"] });
  proxied = await createHost({ ...relayOptions, identity: identityOf(92) });
  node = await createHost({ identity: identityOf(91), relays: relay.multiaddrs() });
  await node.connected({ signal: AbortSignal.timeout(30_000) });
});
afterAll(async () => void (await Promise.all([node.stop(), relay.stop(), proxied.stop(), stun.stop()])));

test("a STUN server tells the asker its address, over IPv4 and IPv6, and a flood of one source nothing more", async () => {
  for (const host of ["127.0.0.1", "::1"]) {
    const probe = await openStunProbe(host);
    expect((await probe.ask({ host, port: stun.port })).mapped).toEqual({ host, port: probe.localPort });
    expect((await probe.ask({ host, port: stun.alternatePort })).mapped.port).toBe(probe.localPort);
    probe.close();
  }
  const probe = await openStunProbe("127.0.0.1");
  for (let i = 0; i < 6; i++) await probe.ask({ host: "127.0.0.1", port: stun.port });
  const refused = probe.ask({ host: "127.0.0.1", port: stun.port }, AbortSignal.timeout(500));
  await expect(refused).rejects.toMatchObject({ name: "TimeoutError" });
  probe.close();
  expect(stun.answered()).toBe(10);
  const taken = startStunServer({ host: "127.0.0.1", port: stun.port });
  await expect(taken).rejects.toMatchObject({ code: "PortInUse" });
});

test("a STUN server with a port of its own answers on the next one too, so that a firewall can let both in", async () => {
  // Two ports in a row that are free: others take ports meanwhile.
  const start = async (): Promise<StunServer> => {
    const free = await startStunServer({ host: "127.0.0.1", port: 0 });
    await free.stop();
    return startStunServer({ host: "127.0.0.1", port: free.port }).catch(start);
  };
  const server = await start();
  expect(server.alternatePort).toBe(server.port + 1);
  await server.stop();
});

test("what is no STUN request gets no answer", async () => {
  const { default: dgram } = await import("node:dgram");
  const other = await startStunServer({ host: "127.0.0.1", port: 0 });
  const socket = dgram.createSocket("udp4");
  const answers: Buffer[] = [];
  socket.on("message", (bytes) => answers.push(bytes));
  const id = new Uint8Array(12).fill(7);
  const request = bindingRequest(id);
  const answer = bindingSuccess(id, { host: "127.0.0.1", port: 1 });
  const unknown = Buffer.concat([request, Buffer.from("0003000400000000", "hex")]); // CHANGE-REQUEST, RFC 5780
  unknown.writeUInt16BE(8, 2);
  for (const bytes of [new Uint8Array(1), request.subarray(0, 19), answer, new Uint8Array(600), unknown, request])
    await new Promise((resolve) => socket.send(bytes, other.port, "127.0.0.1", resolve));
  await until(() => answers.length >= 2);
  expect(answers.map((bytes) => bytes.readUInt16BE(0))).toEqual([0x0111, 0x0101]);
  socket.close();
  await other.stop();
});

test("a node learns its relay's STUN server, and a relay dials back only where the question comes from", async () => {
  await until(() => node.stunServers().length === 1);
  expect(node.stunServers()[0]).toMatch(/^stun:127\.0\.0\.1:\d+$/);
  const connection = await node.connect(relay.identity.address);
  const own = node.multiaddrs().find((text) => !text.includes("p2p-circuit"))!;
  const dead = own.replace(/tcp\/\d+/, "tcp/9");
  const elsewhere = own.replace("127.0.0.1", "127.0.0.2");
  const others = relay.multiaddrs()[0]!;
  const answers = await askDialBack(connection, [own, dead, elsewhere, others], AbortSignal.timeout(30_000));
  expect(answers).toEqual([true, false, false, false]);
  expect(connection.status).toBe("open");
});

test("a relay dials back public addresses only, and its answer takes as long for a closed port as for a silent one", async () => {
  const dialled = vi.fn();
  const silent = net.createServer(dialled).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const ports = [(silent.address() as AddressInfo).port, 9];
  const own = ports.map((port) => `/ip4/127.0.0.1/tcp/${port}/p2p/${node.identity.peerId.toString()}`);
  const answer = async (text: string) => {
    const connection = await node.dial(proxied.multiaddrs()[0]!);
    const startedMs = performance.now();
    const reached = await askDialBack(connection, [text], AbortSignal.timeout(30_000));
    return { reached, ms: performance.now() - startedMs };
  };
  const answers = await Promise.all(own.map(answer));
  for (const { reached, ms } of answers) {
    expect(reached).toEqual([false]);
    expect(ms).toBeGreaterThan(4900);
  }
  expect(dialled).not.toHaveBeenCalled();
  silent.close();
});

test("a node believes only relays that it uses: not who dials it, nor whom it dials for something else", async () => {
  const start = (n: number) => createHost({ identity: identityOf(n), relays: relay.multiaddrs(), relayCount: 1 });
  const [called, caller] = await Promise.all([start(93), start(94)]);
  await until(() => [called, caller].every((host) => host.stunServers().length === 1));
  const before = called.stunServers();
  await proxied.dial(called.multiaddrs().find((text) => !text.includes("p2p-circuit"))!);
  await caller.dial(proxied.multiaddrs()[0]!);
  // Who comes later and uses it has learned its STUN server: the others would have too.
  const later = await createHost({ identity: identityOf(95), relays: proxied.multiaddrs(), relayCount: 1 });
  await until(() => later.stunServers().length === 1);
  expect(later.stunServers()).not.toEqual(before);
  expect([called.stunServers(), caller.stunServers()]).toEqual([before, before]);
  await Promise.all([called.stop(), caller.stop(), later.stop()]);
});

test("where two relays can tell, two have to see a node on the same host before it says that it is there", () => {
  const says = (relayHost: string, observedHost: string, reaches = true) => ({
    relayHost,
    observedHost,
    reached: reaches ? [`/ip4/${observedHost}/tcp/4001`] : [],
  });
  const [victim, home] = ["203.0.113.66", "203.0.113.5"];
  const cases = [
    [[says("45.9.0.1", home)], [home]],
    [[says("45.9.0.1", home, false)], []],
    [[says("45.9.0.1", home), says("45.9.0.2", home, false)], [home]],
    [[says("45.9.0.1", home), says("45.9.0.2", victim)], []],
    [[says("45.9.0.1", home), says("45.9.0.2", victim), says("relay.example.org", home)], [home]],
    // Relays on this machine, in our own network or over IPv6 cannot tell, and an outsider not where we are inside.
    [[says("45.9.0.1", home), says("192.168.0.2", "192.168.0.9", false)], [home]],
    [[says("45.9.0.1", home), says("2001:db8::1", "2001:db8::2", false)], [home]],
    [[says("127.0.0.1", victim)], []],
    [[says("45.9.0.1", "10.0.0.8")], []],
  ] as const;
  for (const [opinions, hosts] of cases)
    expect(agreedAddresses(opinions)).toEqual(hosts.map((host) => `/ip4/${host}/tcp/4001`));
});

test("a presence names the best of each way, and loopback only where there is nothing else", () => {
  const texts = [
    "/ip4/127.0.0.1/tcp/1",
    "/ip4/192.168.1.4/tcp/1",
    "/ip4/203.0.114.9/tcp/1",
    "/ip4/203.0.114.9/udp/1/quic-v1",
    "/ip4/203.0.114.9/tcp/2/ws",
    "/dns4/a.example.org/tcp/3/tls/ws",
    ...RELAYS.flatMap((relayId) =>
      [...HOPS, "/ip4/127.0.0.1/tcp/5", "/ip4/45.9.0.1/udp/5/quic-v1", "/ip4/45.9.0.1/tcp/6/ws"].flatMap((hop) =>
        ["", "/webrtc"].map((end) => `${hop}/p2p/${relayId}/p2p-circuit${end}`),
      ),
    ),
  ].map((text) => `${text}/p2p/${ID}`);
  const chosen = chooseAnnounced(texts.map((text) => multiaddr(text))).map(String);
  const relayed = RELAYS.slice(0, 2).flatMap((relayId) => [
    `${HOPS[1]}/p2p/${relayId}/p2p-circuit/webrtc`,
    ...HOPS.map((hop) => `${hop}/p2p/${relayId}/p2p-circuit`),
  ]);
  const best = [texts[2], texts[3], texts[4], texts[5]];
  expect(chosen.slice(0, 4)).toEqual(best);
  expect(chosen.slice(4)).toEqual(relayed.map((text) => `${text}/p2p/${ID}`));
  expect(chosenOf(texts[0]!)).toEqual([texts[0]]);
});

/** The best address of a relay for Node, and for tabs. */
const HOPS = ["/ip4/45.9.0.1/tcp/5", "/dns4/relay.example.org/tcp/7/tls/ws"];
const chosenOf = (...texts: string[]) => chooseAnnounced(texts.map((text) => multiaddr(text))).map(String);

test("an address that is silent does not delay the next, and the winner ends the others", async () => {
  const ended: string[] = [];
  const silent = (name: string) => (signal: AbortSignal) =>
    new Promise<string>((_, reject) =>
      signal.addEventListener("abort", () => {
        ended.push(name);
        reject(signal.reason as Error);
      }),
    );
  const limits = { headStartMs: 10, timeoutMs: 60_000 };
  const attempts = [
    { ...limits, run: silent("first") },
    { ...limits, headStartMs: 60_000, run: () => Promise.reject(new Error("refused")) },
    { ...limits, run: () => Promise.resolve("third") },
  ];
  expect(await firstOf(attempts, new AbortController().signal)).toBe("third");
  expect(ended).toEqual(["first"]);
  const late = firstOf([{ ...limits, timeoutMs: 20, run: silent("late") }], new AbortController().signal);
  await expect(late).rejects.toThrow("no way leads to the peer");
});

test("the kind of NAT follows from what several servers saw of one socket", () => {
  const seen = (...mapped: (string | undefined)[]) =>
    mapped.map((text, i) => {
      const [host = "", port] = text?.split(":") ?? [];
      const server = { host: `198.51.100.${i}`, port: 3478 };
      return { server, mapped: text === undefined ? undefined : { host, port: Number(port) } };
    });
  const local = ["127.0.0.1", "192.168.1.5"];
  const cases = [
    [seen(), "unknown"],
    [seen(undefined, undefined), "udp-blocked"],
    [seen("203.0.113.1:5000", undefined, "203.0.113.1:5000"), "endpoint-independent"],
    [seen("203.0.113.1:5000", "203.0.113.1:5001"), "symmetric"],
    [seen("203.0.113.1:5000", "203.0.113.2:5000"), "symmetric"],
    [seen("192.168.1.5:4000", "192.168.1.5:4000"), "none"],
    [seen("203.0.113.1:5000"), "unclear"],
    [seen("203.0.113.1:5000", undefined), "unclear"],
    [[...seen("203.0.113.1:5000"), ...seen("203.0.113.1:5000")], "unclear"],
    [seen("192.168.1.5:4000"), "none"],
    [seen("192.168.1.5:4001", "192.168.1.5:4001"), "endpoint-independent"],
  ] as const;
  for (const [observations, kind] of cases) expect(classifyNat(observations, local, 4000)).toBe(kind);
});
