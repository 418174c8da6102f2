// Bulk over every transport against plain TLS of Node, and relay messages; docs/benchmarks.md defines the figures.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { connect } from "node:tls";
import { ask, createHost, fetchBlocks, type Host } from "@skynet/network";
import { transports } from "@skynet/network/node";
import {
  ASK_PROTOCOL,
  blocksOf,
  CONTENT_BYTES,
  identityOf,
  LIMITS,
  now,
  silent,
  TOPIC,
  type Command,
  type Report,
} from "./network/shared.ts";

const RUNS = 3;
const MESSAGES = 300;
const BURST = 2000;

/** Where a node listens, and the transports that it has. */
interface Way {
  readonly listen: string[];
  readonly ways: readonly string[];
}

const TCP: Way = { listen: ["/ip4/127.0.0.1/tcp/0"], ways: ["tcp"] };
/** All know the relay over TCP; only TCP itself is left out of the others' addresses. */
const OTHERS: Readonly<Record<string, Way>> = {
  quic: { listen: ["/ip4/127.0.0.1/udp/0/quic-v1"], ways: ["tcp", "quic"] },
  ws: { listen: ["/ip4/127.0.0.1/tcp/0/ws"], ways: ["tcp", "websockets"] },
  webrtc: { listen: [], ways: ["tcp", "webrtc", "circuit"] },
  relay: { listen: [], ways: ["tcp", "circuit"] },
};

interface Peer {
  readonly address: `0x${string}`;
  readonly multiaddrs: string[];
  readonly tlsPort: number;
  ask(command: Command): Promise<Report>;
  send(command: Command): void;
  stop(): Promise<void>;
}

const children = new Set<ChildProcess>();

async function startPeer(n: number, { listen, ways }: Way, relay?: string, relayService = false): Promise<Peer> {
  const child = fork(path.join(import.meta.dirname, "network", "peer.ts"), [String(n)]);
  children.add(child);
  const send = (command: Command) => void child.send(command);
  const ask = async (command: Command) => {
    const answer = once(child, "message") as Promise<[Report]>;
    send(command);
    return (await answer)[0];
  };
  const ready = await ask({ t: "start", listen, relay, relayService, ways });
  if (ready.t !== "ready") throw new Error(`unexpected report: ${ready.t}`);
  const stop = async () => {
    const ended = once(child, "exit");
    child.send({ t: "stop" });
    await ended;
    children.delete(child);
  };
  return { address: identityOf(n).address, multiaddrs: ready.multiaddrs, tlsPort: ready.tlsPort, ask, send, stop };
}

/** Seconds that plain TLS needs for the content. */
async function rawTls(port: number): Promise<number> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, minVersion: "TLSv1.3" });
  await once(socket, "secureConnect");
  const part = Buffer.alloc(1024 * 1024, 7);
  const started = performance.now();
  for (let sent = 0; sent < CONTENT_BYTES; sent += part.length) if (!socket.write(part)) await once(socket, "drain");
  const answered = once(socket, "data");
  socket.end();
  const [bytes] = (await answered) as [Buffer];
  if (Number(String(bytes)) !== CONTENT_BYTES) throw new Error("plain TLS lost bytes");
  return (performance.now() - started) / 1000;
}

type Content = Awaited<ReturnType<typeof blocksOf>>;

/** Seconds that bulk needs for the content, every block checked. */
async function bulk(host: Host, peer: Peer, { blocks }: Content): Promise<number> {
  let bytes = 0;
  const started = performance.now();
  const onBlock = (_index: number, block: Uint8Array) => void (bytes += block.length);
  await fetchBlocks(host, blocks, { sources: [peer.address], onBlock, reuseBuffers: true });
  if (bytes !== CONTENT_BYTES) throw new Error("bulk lost bytes");
  return (performance.now() - started) / 1000;
}

async function cpuSeconds(peer: Peer): Promise<number> {
  const there = await peer.ask({ t: "cpu" });
  const here = process.cpuUsage();
  return (here.user + here.system + (there.t === "cpu" ? there.user + there.system : 0)) / 1e6;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const percentile = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))]!;
const rounded = (value: number, digits = 2) => Number(value.toFixed(digits));
const mbPerSecond = (seconds: number) => rounded(CONTENT_BYTES / 1e6 / seconds, 1);

/** TCP, in turn with plain TLS between the same processes. */
async function measureTcp(relay: string, content: Content) {
  const peer = await startPeer(2, TCP, relay);
  const host = await createHost({ identity: identityOf(1), relays: [relay], limits: LIMITS });
  try {
    await host.connected({ signal: AbortSignal.timeout(20_000) });
    await bulk(host, peer, content); // the connection, and code that is compiled on the way
    await rawTls(peer.tlsPort);
    const tls: number[] = [];
    const tcp: number[] = [];
    let cpu = 0;
    const before = host.traffic();
    for (let i = 0; i < RUNS; i++) {
      tls.push(await rawTls(peer.tlsPort));
      const start = await cpuSeconds(peer);
      tcp.push(await bulk(host, peer, content));
      cpu += (await cpuSeconds(peer)) - start;
    }
    const after = host.traffic();
    const wire = after.receivedBytes + after.sentBytes - before.receivedBytes - before.sentBytes;
    const whileBulk = await measureControl(host, peer, content);
    return {
      tcp: median(tcp),
      tls: median(tls),
      cpuSecondsPerGb: rounded(cpu / ((RUNS * CONTENT_BYTES) / 1e9)),
      wireBytesPerUsefulByte: rounded(wire / (RUNS * CONTENT_BYTES), 4),
      ...whileBulk,
    };
  } finally {
    await host.stop();
    await peer.stop();
  }
}

/** Round trips of 1 KB requests on the connection that bulk fills. */
async function measureControl(host: Host, peer: Peer, content: Content) {
  const request = new Uint8Array(1024);
  const roundTrip = async () => {
    const started = performance.now();
    await ask(host, peer.address, ASK_PROTOCOL, request, { timeoutMs: 10_000, maxAnswerBytes: 2048 });
    return performance.now() - started;
  };
  const idle: number[] = [];
  for (let i = 0; i < 100; i++) idle.push(await roundTrip());
  const busy: number[] = [];
  const over = new AbortController();
  const transfer = bulk(host, peer, content).finally(() => over.abort());
  while (!over.signal.aborted) busy.push(await roundTrip());
  await transfer;
  return {
    controlP50Ms: rounded(median(idle)),
    controlWhileBulkP50Ms: rounded(median(busy)),
    controlWhileBulkP99Ms: rounded(percentile(busy, 0.99)),
  };
}

async function measureTransport(n: number, way: Way, relay: string, content: Content): Promise<number> {
  const peer = await startPeer(n, way, relay);
  const host = await createHost({
    identity: identityOf(1),
    listen: [],
    relays: [relay],
    limits: LIMITS,
    reservations: way.listen.length === 0 ? 1 : 0,
    transports: (await transports(silent)).filter(({ name }) => way.ways.includes(name)),
  });
  try {
    await host.connected({ signal: AbortSignal.timeout(20_000) });
    await bulk(host, peer, content); // the connection, and code that is compiled on the way
    return mbPerSecond(await bulk(host, peer, content));
  } finally {
    await host.stop();
    await peer.stop();
  }
}

/** Messages of 1 KB between two nodes through the relay. */
async function measureMessages(relay: string) {
  const peer = await startPeer(7, TCP, relay);
  const host = await createHost({ identity: identityOf(1), relays: [relay], limits: LIMITS });
  const send = () => host.publish(TOPIC, { kind: "bench", job: null, body: { sentMs: now(), text: "x".repeat(700) } });
  /** What arrived, once all has or nothing came for ten seconds. */
  const heard = async (count: number) => {
    for (let before = -1, quiet = 0; ; quiet++) {
      const report = await peer.ask({ t: "heard" });
      if (report.t !== "heard") throw new Error(`unexpected report: ${report.t}`);
      const arrived = report.delaysMs.length;
      if (arrived === count || quiet === 10) return report;
      if (arrived !== before) quiet = 0;
      before = arrived;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  };
  try {
    await host.connected({ signal: AbortSignal.timeout(20_000) });
    for (let i = 0; i < MESSAGES; i++) {
      await send();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const { delaysMs } = await heard(MESSAGES);
    peer.send({ t: "forget" });
    const started = now();
    for (let i = 0; i < BURST; i++) {
      await send();
      // As a program that sends and receives does: signing takes the thread, and nothing leaves until it rests.
      if (i % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
    }
    const burst = await heard(BURST);
    return {
      latencyP50Ms: rounded(median(delaysMs)),
      latencyP99Ms: rounded(percentile(delaysMs, 0.99)),
      messagesPerSecond: Math.round((burst.delaysMs.length / (burst.lastMs - started)) * 1000),
      messagesLost: MESSAGES + BURST - delaysMs.length - burst.delaysMs.length,
    };
  } finally {
    await host.stop();
    await peer.stop();
  }
}

export async function run() {
  const content = await blocksOf();
  const relayPeer = await startPeer(9, { listen: TCP.listen, ways: ["tcp", "circuit"] }, undefined, true);
  const relay = relayPeer.multiaddrs[0]!;
  try {
    const { tcp, tls, ...rest } = await measureTcp(relay, content);
    console.error({ tcp: mbPerSecond(tcp), tls: mbPerSecond(tls), ...rest });
    const others: Record<string, number> = {};
    let n = 10;
    for (const [name, way] of Object.entries(OTHERS)) {
      console.error(`${name} ...`);
      others[name] = await measureTransport(n++, way, relay, content);
    }
    return {
      bulkRatioToTls: rounded(tls / tcp),
      ...(await measureMessages(relay)),
      mbPerSecond: { tls: mbPerSecond(tls), tcp: mbPerSecond(tcp), ...others },
      ...rest,
    };
  } finally {
    await relayPeer.stop();
    for (const child of children) child.kill();
  }
}
