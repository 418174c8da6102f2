// The network package in a page: bundled for network-browser.test.ts, which calls `node`.
import {
  createDelivery,
  createHost,
  createIdentity,
  createMemoryStore,
  fetchBlock,
  hostChannel,
  openIndexedDbDeliveryStore,
  publicKeyFrom,
  sendUpdate,
  serveBlocks,
  verifyDeliveryReceipt,
  type Delivery,
  type Host,
} from "@skynet/network";

const started = Promise.withResolvers<Host>();
const kept = Promise.withResolvers<Delivery>();
const received: unknown[] = [];
const waiting = new Set<() => void>();

/** Resolves as soon as the condition holds, which is looked at whenever something arrives. */
function when(condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!condition()) return;
      waiting.delete(look);
      resolve();
    };
    waiting.add(look);
    look();
  });
}
const arrived = () => waiting.forEach((look) => look());

/** Calls that the test makes; arguments and results are JSON. */
const calls = {
  async start({ number, relays, groupKey }: { number: number; relays: string[]; groupKey: number[] }) {
    const identity = createIdentity(new Uint8Array(32).fill(number));
    const host = await createHost({ identity, relays, mode: "light", listen: [] });
    started.resolve(host);
    const key = Uint8Array.from(groupKey);
    const take = ({ body }: { body: unknown }) => {
      received.push(body);
      arrived();
    };
    host.subscribe("tab", take, { groupKey: () => [key] });
    await host.connected({ signal: AbortSignal.timeout(30_000) });
    return host.identity.address;
  },
  async publish({ body, groupKey }: { body: unknown; groupKey: number[] }) {
    const host = await started.promise;
    const message = { kind: "tab", job: null, body };
    return (await host.publish("tab", message, { groupKey: Uint8Array.from(groupKey), ephemeral: false })).recipients;
  },
  async received({ body }: { body: unknown }) {
    await when(() => received.includes(body));
    return received.length;
  },
  async history({ fromMs }: { fromMs: number }) {
    return (await started.promise).history("tab", { fromMs });
  },
  async fetchBlock({ from, cid }: { from: `0x${string}`; cid: string }) {
    const block = await fetchBlock(await started.promise, from, cid);
    return { length: block.length, first: block[0] };
  },
  /** Serves one block to a node. */
  async serveBlock({ to, bytes, value }: { to: `0x${string}`; bytes: number; value: number }) {
    const block = new Uint8Array(bytes).fill(value);
    await serveBlocks(await started.promise, { allow: (peer) => peer === to, get: async () => block });
  },
  /** Connects to a node over WebRTC so many times, and keeps the last one. @returns whether each carried a stream */
  async connectOverWebRtc({ peer, protocol, times }: { peer: `0x${string}`; protocol: string; times: number }) {
    const host = await started.promise;
    const carried: boolean[] = [];
    for (let i = 1; i <= times; i++) {
      const connection = await host.connect(peer, { path: "webrtc" });
      const stream = await connection.newStream(protocol);
      carried.push(connection.status === "open");
      await stream.close();
      if (i < times) await connection.close();
    }
    return carried;
  },
  /** Kinds of the connections to a node over which a protocol runs. */
  async kindsOf({ peer, protocol }: { peer: `0x${string}`; protocol: string }) {
    const connections = (await started.promise).connections();
    const used = connections.filter((one) => one.peer === peer && one.streams.includes(protocol));
    return used.map(({ kind }) => kind);
  },
  async announced() {
    return (await started.promise).multiaddrs();
  },
  async sendUpdate({ to, bytes }: { to: `0x${string}`; bytes: number }) {
    const id = { job: "0x0a", round: 1, kind: "weights" };
    const content = new Uint8Array(bytes).fill(9);
    const options = { deadlineMs: Date.now() + 60_000 };
    const { receipt } = await sendUpdate(await started.promise, to, id, content, options);
    return { job: receipt.job, round: receipt.round };
  },
  /** Delivers a message, and from now on takes what is delivered to this tab. @returns who signed the receipt */
  async deliver({ to, body }: { to: `0x${string}`; body: unknown }) {
    const host = await started.promise;
    const options = { channel: hostChannel(host), identity: host.identity, publicKeyOf: publicKeyFrom(host) };
    const delivery = await createDelivery({ ...options, store: createMemoryStore() });
    delivery.listen((message) => {
      received.push(message.body);
      arrived();
    });
    return verifyDeliveryReceipt(await delivery.send(to, "tab", body, { timeoutMs: 60_000 })).receiver;
  },
  /** Opens delivery with what an earlier tab of this site has kept. @returns how many messages wait */
  async openDelivery() {
    const host = await started.promise;
    const options = { channel: hostChannel(host), identity: host.identity, publicKeyOf: publicKeyFrom(host) };
    const delivery = await createDelivery({ ...options, store: await openIndexedDbDeliveryStore("messages") });
    kept.resolve(delivery);
    return delivery.counters().waiting;
  },
  /** Delivers a message that is kept. @returns who signed the receipt */
  async deliverKept({ to, body }: { to: `0x${string}`; body: unknown }) {
    return (await (await kept.promise).send(to, "tab", body, { timeoutMs: 60_000 })).receiver;
  },
  /** How many kept messages wait, and who signed the receipts. */
  async keptMessages() {
    const delivery = await kept.promise;
    return {
      waiting: delivery.counters().waiting,
      by: (await delivery.receipts()).map(({ receipt }) => receipt.receiver),
    };
  },
  async reconnected({ without }: { without: `0x${string}` }) {
    const host = await started.promise;
    while (host.peers().includes(without)) await new Promise((resolve) => setTimeout(resolve, 50));
    await host.connected({ signal: AbortSignal.timeout(30_000) });
  },
  async dropped() {
    return (await started.promise).traffic().dropped;
  },
};

Object.assign(globalThis, { node: calls });
