// Mutated frames through the real protocol handlers of a relay process.
import { concatBytes } from "@skynet/protocol";
import type { Connection, MessageStream } from "@libp2p/interface";
import { createRandom, mutate } from "../mutate.ts";
import { createPeer, createRawPeer, openSocket, type Target } from "./client.ts";
import { multiplexerExample, socketExamples, streamExamples } from "./examples.ts";
import { startSiege, type Siege } from "./siege.ts";

interface FuzzOptions {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

/** Sends bytes of its kind to the relay, and lets it process them. */
type Sender = (bytes: Uint8Array) => Promise<void>;

interface Kind {
  readonly name: string;
  readonly valid: Uint8Array;
  readonly send: Sender;
}

const WORKERS = 24;
/** A handler has this long to read a frame before the stream is reset. */
const HANDLE_MS = 25;
/** Streams of one connection, before another one is used. */
const STREAMS = 150;
const MANY = 1_000_000;

// Nobody is banned and nothing is slowed down: every frame must be processed.
const limits = {
  banAt: 1e12,
  exemptLoopback: true,
  connectionsPerPeer: 1000,
  streams: 10_000,
  streamsPerProtocol: 10_000,
  messagesPerSecond: MANY,
  bytesPerSecond: 1e12,
  messagesPerSecondOfAll: MANY,
  bytesPerSecondOfAll: 1e12,
};
const often = { perSecond: MANY, burst: MANY };
const serviceRates = { store: often, filter: often, lightPush: often, metadata: often, peerExchange: often };

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const ignore = () => undefined;

async function untilClosed(stream: { readonly status: string }): Promise<void> {
  for (let waitedMs = 0; stream.status === "open" && waitedMs < HANDLE_MS; waitedMs += 5) await sleep(5);
}

/** Streams of one peer, a new connection now and then and whenever the relay has ended it. */
async function streamSender(
  target: Target,
  k: number,
): Promise<(protocol: string, bytes: Uint8Array) => Promise<void>> {
  const peer = await createPeer(target, k);
  let connection: Connection | undefined;
  let used = 0;
  return async (protocol, bytes) => {
    if (connection?.status !== "open" || used++ >= STREAMS) {
      const old = connection;
      connection = await peer.dial();
      used = 0;
      old?.abort(new Error("enough"));
    }
    const stream = await connection.newStream(protocol, {
      maxOutboundStreams: MANY,
      signal: AbortSignal.timeout(10_000),
    });
    stream.addEventListener("message", ignore);
    stream.send(bytes);
    await stream.close({ signal: AbortSignal.timeout(HANDLE_MS) }).catch(ignore);
    await untilClosed(stream);
    stream.abort(new Error("enough"));
  };
}

/** Frames on one connection below the multiplexer, as long as it lives. */
async function multiplexerSender(target: Target): Promise<Sender> {
  const dial = await createRawPeer(target);
  let connection: MessageStream | undefined;
  let used = 0;
  return async (bytes) => {
    if (connection?.status !== "open" || used++ >= STREAMS) {
      connection?.abort(new Error("enough"));
      connection = await dial();
      used = 0;
    }
    connection.send(bytes);
    await untilClosed(connection);
  };
}

const socketSender =
  (target: Target, k: number): Sender =>
  async (bytes) => {
    const socket = await openSocket(target, k);
    socket?.write(bytes);
    await sleep(HANDLE_MS);
    socket?.destroy();
  };

/** Everything that a relay reads from others. @throws Error when it serves a protocol that has no example */
async function kindsOf(protocols: readonly string[], target: Target, k: number): Promise<Kind[]> {
  const examples = await streamExamples();
  const missing = protocols.filter((protocol) => !(protocol in examples));
  if (missing.length > 0)
    throw new Error(`no example for ${missing.join(", ")}: add it to testing-hostile/examples.ts`);
  const stream = await streamSender(target, k);
  const socket = socketSender(target, k);
  return [
    ...protocols.map((name) => ({ name, valid: examples[name]!, send: (bytes: Uint8Array) => stream(name, bytes) })),
    ...Object.entries(socketExamples).map(([name, valid]) => ({ name, valid, send: socket })),
    {
      name: "multiplexer",
      valid: concatBytes(multiplexerExample(1), multiplexerExample(3)),
      send: await multiplexerSender({ ...target, number: target.number + 1 + k }),
    },
  ];
}

/** What a process holds open returns to what it was. */
async function untilReleased(siege: Siege, before: { streams: number; sockets: number }): Promise<void> {
  for (const endMs = Date.now() + 30_000; ; await sleep(200)) {
    const { streams, sockets } = await siege.report();
    if (streams <= before.streams + 2 && sockets <= before.sockets) return; // A ping of a neighbour comes and goes.
    if (Date.now() > endMs)
      throw new Error(`a leak: ${streams} streams, ${sockets} sockets; before: ${JSON.stringify(before)}`);
  }
}

/**
 * Feeds mutated frames of every protocol to a relay in a process of its own, over real sockets: handshakes, the
 * multiplexer, and each protocol that it serves.
 * @throws Error when the relay crashes or leaves a rejection unhandled, when streams or sockets stay open, or when an
 *   honest node is not served afterwards
 */
export async function fuzzFrames({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const siege = await startSiege({ limits, serviceRates });
  const ending = new AbortController();
  let done = 0;
  let unsent = 0;
  const work = async (kinds: readonly Kind[], random: (below: number) => number) => {
    for (let mine = random(kinds.length); done < count; mine++) {
      done += 1;
      const { valid, send } = kinds[mine % kinds.length]!;
      await send(mutate(valid, random)).catch(() => (unsent += 1)); // The connection ended: the next is a new one.
      onProgress?.(done);
    }
  };
  try {
    const before = await siege.report();
    const target = { relay: siege.relay, number: 1, signal: ending.signal };
    const workers = await Promise.all(Array.from({ length: WORKERS }, (_, k) => kindsOf(before.protocols, target, k)));
    await Promise.all(workers.map((kinds, k) => work(kinds, createRandom(seed * 1000 + k))));
    ending.abort();
    await untilReleased(siege, before);
    const calm = await siege.calm(500);
    if (calm.delivered < calm.sent || !(await siege.servesNewcomers())) throw new Error("honest nodes are not served");
    const { failures, dropped, peakBytes } = await siege.report();
    if (failures.length > 0) throw new Error(`the relay failed: ${failures.join("\n")}`);
    return { kinds: workers[0]!.length, unsent, dropped, peakMiB: Math.round(peakBytes / 2 ** 20) };
  } finally {
    ending.abort();
    await siege.stop();
  }
}
