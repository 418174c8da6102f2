import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openKeystore } from "@skynet/node";
import { createHost, createIdentity, deriveSecret, receiveUpdates, sendUpdate, type Identity } from "@skynet/network";
import { decode, type Hex } from "@skynet/protocol";
import { decryptBlock } from "@skynet/storage";
import { openSecrets } from "@skynet/swarm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { circuit } from "../packages/network/src/transports/circuit.ts";
import { tcp } from "../packages/network/src/transports/tcp.ts";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";
import { createSecretWindows, type SecretWindows } from "./support/secret-windows.ts";
import { writeTinyJob } from "./support/tiny-job.ts";

const capture = path.join(import.meta.dirname, "support", "relay-capture.ts");
const relayed = Uint8Array.from({ length: 50_000 }, (_, i) => (i * 167) ^ (i >> 7));
const leaked = new Uint8Array(64).map((_, i) => (i * 71 + 13) % 256);

let network: TestNetwork;
let captured: string;
let jobId: Hex;
const states: Uint8Array[] = [];

/** All files below a folder. */
async function filesOf(folder: string, pattern = /./): Promise<{ name: string; bytes: Uint8Array }[]> {
  const names = await fs.readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile() && pattern.test(entry.name));
  return Promise.all(
    files.map(async (entry) => {
      const name = path.join(entry.parentPath, entry.name);
      return { name, bytes: await fs.readFile(name) };
    }),
  );
}

const workers = [1, 2];
const workerFolders = () => workers.map((n) => path.join(network.folder, "net", `worker-${n}`));

/** Keeps the weights of every round: a worker overwrites them in the next. */
async function keepStates(): Promise<void> {
  for (const folder of workerFolders())
    for (const { bytes } of await filesOf(folder, /^state\.cbor$/)) states.push(bytes);
}

/** Two nodes that only the relay can connect: what one sends to the other passes through it. */
async function sendThroughCircuit(): Promise<void> {
  const join = async (n: number) => {
    const identity = createIdentity(new Uint8Array(32).fill(n));
    // Without WebRTC, by which they would soon meet without the relay.
    const transports = [tcp(), circuit()];
    const host = await createHost({ identity, transports, listen: [], relays: [network.relay], reservations: 1 });
    await host.connected({ signal: AbortSignal.timeout(30_000) });
    return host;
  };
  const [from, to] = [await join(71), await join(72)];
  await receiveUpdates(to, { admit: () => true, maxBytes: 2 ** 20, onUpdate: () => ({ ok: true }) });
  const id = { job: "0x0a", round: 1, kind: "circuit" };
  await sendUpdate(from, to.identity.address, id, relayed, { deadlineMs: Date.now() + 60_000 });
  await Promise.all([from.stop(), to.stop()]);
}

/** Somebody says a secret in plain text where all hear it: the search must find that. */
async function leak(): Promise<void> {
  const host = await createHost({ identity: createIdentity(new Uint8Array(32).fill(73)), relays: [network.relay] });
  await host.connected({ signal: AbortSignal.timeout(30_000) });
  const bytes = Buffer.from(leaked);
  const body = { raw: leaked.subarray(20, 40), hex: bytes.toString("hex"), base64: bytes.toString("base64") };
  await host.publish("leak", { kind: "leak", job: null, body });
  await new Promise((resolve) => setTimeout(resolve, 1000)); // The relay writes down what it hears every 200 ms.
  await host.stop();
}

beforeAll(async () => {
  const before = { ...process.env };
  captured = path.join(await fs.mkdtemp(path.join(os.tmpdir(), "skynet-capture-")), "relay");
  process.env.SKYNET_TEST_CAPTURE = captured;
  process.env.NODE_OPTIONS = `--import=${new URL(`file://${capture}`).href}`;
  network = await startTestNetwork(workers.length);
  const requester = network.train(
    await writeTinyJob(path.join(network.folder, "job"), { workers: workers.length, rounds: 1 }),
  );
  process.env = before;
  ({ jobId } = (await requester.event("posted")) as { jobId: Hex });
  let keeping = Promise.resolve();
  requester.onEvent(({ event }) => {
    if (event === "round") keeping = keeping.then(keepStates);
  });
  await requester.event("summary", 280_000);
  await keeping;
  await keepStates();
  await sendThroughCircuit();
  await leak();
}, 400_000);
afterAll(async () => {
  await network?.close();
  await fs.rm(path.dirname(captured), { recursive: true, force: true });
}, 60_000);

/** Identities of all nodes but the relay. */
async function identities(): Promise<{ name: string; identity: Identity }[]> {
  const wallets = path.join(network.folder, "net", "wallets");
  return Promise.all(
    ["requester", ...workers.map((n) => `worker-${n}`)].map(async (name) => {
      const passphrase = (await fs.readFile(path.join(wallets, `${name}.passphrase`), "utf8")).trim();
      return { name, identity: createIdentity(await openKeystore(path.join(wallets, `${name}.json`), passphrase)) };
    }),
  );
}

/** The secrets of the job's epochs, from the public blocks that hold them for a worker. */
async function openEpochs(member: Identity) {
  const blocks = await filesOf(path.join(network.folder, "requester", "blocks"), /\.data$/);
  const tryOpen = (bytes: Uint8Array, epoch: number) => {
    try {
      return [openSecrets(jobId, bytes, epoch, member)];
    } catch {
      return []; // Another kind of block, or another epoch.
    }
  };
  return [0, 1, 2, 3].flatMap((epoch) => blocks.flatMap(({ bytes }) => tryOpen(bytes, epoch)));
}

async function addMembersSecrets(secrets: SecretWindows): Promise<void> {
  const all = await identities();
  for (const { identity } of all) {
    secrets.add("node key", identity.privateKey);
    secrets.add("secret of blinders", deriveSecret(identity, "blinders"));
  }
  const epochs = await openEpochs(all[1]!.identity);
  for (const { groupKey, dataIdentity } of epochs) {
    secrets.add("group key", groupKey);
    secrets.add("age identity", new TextEncoder().encode(dataIdentity));
  }
  const { dataIdentity } = epochs[0]!;
  for (const { bytes } of await filesOf(path.join(network.folder, "requester", "blocks"), /\.data$/)) {
    const plain = await decryptBlock(bytes, dataIdentity).catch(() => undefined); // Other blocks are no batches.
    if (plain !== undefined) secrets.add("batch with labels", plain);
  }
}

async function addTraining(secrets: SecretWindows): Promise<void> {
  for (const bytes of states) {
    const { weights, blinders } = decode(bytes) as { weights: Uint8Array[]; blinders: Uint8Array };
    for (const tensor of weights) secrets.add("weights", tensor);
    secrets.add("blinders", blinders);
  }
  for (const folder of workerFolders())
    for (const { bytes } of await filesOf(folder, /^update-\d+\.cbor$/))
      secrets.add("update", (decode(bytes) as { update: Uint8Array }).update);
  const [images] = await filesOf(path.join(network.folder, "job"), /^train-images$/);
  secrets.add("images", images!.bytes.subarray(16));
}

describe("what a relay sees of a job", () => {
  it(
    "holds no 16 bytes of a weight, update, batch, label or key, in any form, on any level",
    { timeout: 120_000 },
    async () => {
      const secrets = createSecretWindows();
      await addMembersSecrets(secrets);
      await addTraining(secrets);
      secrets.add("content of a circuit", relayed);
      const counts = secrets.counts();
      for (const name of [
        "node key",
        "group key",
        "age identity",
        "batch with labels",
        "weights",
        "blinders",
        "update",
        "images",
      ])
        expect(counts[name], name).toBeGreaterThan(0);
      for (const name of ["weights", "update", "batch with labels", "images"])
        expect(counts[name], name).toBeGreaterThan(100);
      const seen = [...(await filesOf(captured)), ...(await filesOf(path.join(network.folder, "net", "relay")))];
      expect(seen.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeGreaterThan(500_000);
      const found = new Set(seen.flatMap(({ bytes }) => [...secrets.findIn(bytes)]));
      expect([...found]).toEqual([]);
    },
  );

  it("is what the search searches: a secret said in plain text is found, in all its forms", async () => {
    const secrets = createSecretWindows();
    secrets.add("leaked", leaked);
    const found = new Set((await filesOf(captured)).flatMap(({ bytes }) => [...secrets.findIn(bytes)]));
    expect([...found].toSorted()).toEqual(["leaked", "leaked (base64)", "leaked (hex)"]);
  });

  it("includes what docs/privacy.md says: topics, addresses, who asks, and the bytes of circuits", async () => {
    const seen = await filesOf(captured);
    const shows = (text: string) => seen.some(({ bytes }) => Buffer.from(bytes).includes(text));
    for (const text of [
      `/skynet/1/job-${jobId.slice(2)}/cbor`,
      "/skynet/1/peers/cbor",
      "/ip4/127.0.0.1/tcp/",
      "/libp2p/circuit/relay/0.2.0/hop",
      "worker",
    ])
      expect(shows(text), text).toBe(true);
    // A stream that asks for a circuit: whatever follows is what the relay carries.
    const begin = Buffer.from("\x13/multistream/1.0.0\n\x20/libp2p/circuit/relay/0.2.0/hop\n", "latin1");
    const circuits = seen.filter(({ bytes }) => begin.equals(bytes.subarray(0, begin.length)));
    expect(Math.max(...circuits.map(({ bytes }) => bytes.length))).toBeGreaterThan(relayed.length);
  });
});
