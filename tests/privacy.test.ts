import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openKeystore, startChild } from "@skynet/node";
import { readInferenceModel } from "@skynet/proof";
import { createHost, createIdentity, deriveSecret, receiveUpdates, sendUpdate, type Identity } from "@skynet/network";
import { decode, fromHex, type Hex } from "@skynet/protocol";
import { cidOf, dataKeyOf, decryptBlock, parseManifest, type Manifest } from "@skynet/storage";
import { openSecrets, type WorkerSecrets } from "@skynet/swarm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { circuit } from "../packages/network/src/transports/circuit.ts";
import { tcp } from "../packages/network/src/transports/tcp.ts";
import { downloadModel } from "../packages/node/src/artefacts/download.ts";
import { silentUi, startTestNetwork, type TestNetwork } from "./support/network.ts";
import { createSecretWindows, type SecretWindows } from "./support/secret-windows.ts";
import { writeTinyJob } from "./support/tiny-job.ts";
import { keepWrongModel } from "./support/wrong-model.ts";

const capture = path.join(import.meta.dirname, "support", "relay-capture.ts");
const relayed = Uint8Array.from({ length: 50_000 }, (_, i) => (i * 167) ^ (i >> 7));
const leaked = new Uint8Array(64).map((_, i) => (i * 71 + 13) % 256);

let network: TestNetwork;
/** Events of the requester's process. */
const said: string[] = [];
let captured: string;
let jobId: Hex;
/** What nodes have on disk during the job, by file; of files that change, every content that was seen. */
const kept = new Map<string, Uint8Array[]>();

/** All files below a folder; those that vanish meanwhile are left out. */
async function filesOf(folder: string, pattern = /./): Promise<{ name: string; bytes: Uint8Array }[]> {
  const names = await fs.readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile() && pattern.test(entry.name));
  const read = await Promise.all(
    files.map(async (entry) => {
      const name = path.join(entry.parentPath, entry.name);
      const bytes = await fs.readFile(name).catch(() => undefined);
      return bytes ? [{ name, bytes }] : [];
    }),
  );
  return read.flat();
}

const workers = [1, 2];
const workerFolders = () => workers.map((n) => path.join(network.folder, "net", `worker-${n}`));

const requesterFolder = () => path.join(network.folder, "requester");

/** Keeps what is on disk now: nodes overwrite the weights of a round in the next, and remove secrets at the end. */
async function keepFiles(): Promise<void> {
  for (const folder of [...workerFolders(), requesterFolder()])
    for (const { name, bytes } of await filesOf(folder, /^(state|update-\d+)\.cbor$|^job\.json$|\.data$/)) {
      const known = kept.get(name) ?? [];
      if (!known.some((each) => Buffer.compare(each, bytes) === 0)) kept.set(name, [...known, bytes]);
    }
}

/** Contents of files that were kept. */
const keptIn = (folder: string, pattern: RegExp): Uint8Array[] =>
  [...kept].flatMap(([name, contents]) =>
    name.startsWith(folder + path.sep) && pattern.test(path.basename(name)) ? contents : [],
  );

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
  process.env.SKYNET_LOG_LEVEL = "trace";
  process.env.NODE_OPTIONS = `--import=${new URL(`file://${capture}`).href}`;
  network = await startTestNetwork(workers.length);
  const requester = network.train(
    await writeTinyJob(path.join(network.folder, "job"), { workers: workers.length, rounds: 1 }),
  );
  process.env = before;
  ({ jobId } = (await requester.event("posted")) as { jobId: Hex });
  let keeping = Promise.resolve();
  requester.onEvent(({ event }) => {
    if (event === "phase" || event === "round") keeping = keeping.then(keepFiles);
  });
  const over = once(requester.process, "exit");
  requester.onEvent((event) => void said.push(JSON.stringify(event)));
  await requester.event("summary", 280_000);
  await keeping;
  await over;
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

const publicBlocks = () => keptIn(requesterFolder(), /\.data$/);

/** The secrets of the job's epochs, from the public blocks that hold them for a worker. */
async function openEpochs(self: Identity): Promise<WorkerSecrets[]> {
  const fetchList = () => Promise.reject(new Error("the lists are in the envelope"));
  const open = (bytes: Uint8Array, epoch: number) =>
    openSecrets(bytes, { jobId, epoch, self, needed: [], fetchList }).catch(() => []); // Another block or epoch.
  const all = [0, 1, 2, 3].flatMap((epoch) => publicBlocks().map((bytes) => open(bytes, epoch)));
  return (await Promise.all(all)).flat();
}

interface Posted {
  readonly datasetSecret: Hex;
  readonly manifestCid: string;
  readonly dataRoot: Hex;
}

/** What the requester noted of its job. */
const posted = () => JSON.parse(Buffer.from(keptIn(requesterFolder(), /^job\.json$/)[0]!).toString()) as Posted;

/** The dataset's manifest, and its encrypted batches. */
async function dataset(): Promise<{ manifest: Manifest; batches: Uint8Array[] }> {
  const { manifestCid, dataRoot } = posted();
  const blocks = new Map<string, Uint8Array>();
  for (const bytes of publicBlocks())
    for (const codec of ["raw", "dag-cbor"] as const) blocks.set(await cidOf(bytes, codec), bytes);
  const manifest = parseManifest(blocks.get(manifestCid)!, dataRoot);
  return { manifest, batches: manifest.cids.map((cid) => blocks.get(cid)!) };
}

/** Everything but the weights that only members know. */
async function addMembersSecrets(secrets: SecretWindows): Promise<void> {
  const all = await identities();
  for (const { identity } of all) {
    secrets.add("node key", identity.privateKey);
    secrets.add("secret of blinders", deriveSecret(identity, "blinders"));
  }
  secrets.add("secret of the dataset", fromHex(posted().datasetSecret));
  const { batches } = await dataset();
  for (const { identity } of all.slice(1))
    for (const { groupKey, batches: known } of await openEpochs(identity)) {
      secrets.add("group key", groupKey);
      for (const [index, secret] of known) {
        const key = await dataKeyOf(secret);
        secrets.add("secret of a batch", secret);
        secrets.add("age identity", new TextEncoder().encode(key.identity));
        secrets.add("batch with labels", await decryptBlock(batches[index]!, key.identity));
      }
    }
}

async function addTraining(secrets: SecretWindows): Promise<void> {
  for (const bytes of workerFolders().flatMap((folder) => keptIn(folder, /^state\.cbor$/))) {
    const { weights, blinders } = decode(bytes) as { weights: Uint8Array[]; blinders: Uint8Array };
    for (const tensor of weights) secrets.add("weights", tensor);
    secrets.add("blinders", blinders);
  }
  for (const folder of workerFolders())
    for (const bytes of keptIn(folder, /^update-\d+\.cbor$/))
      secrets.add("update", (decode(bytes) as { update: Uint8Array }).update);
}

async function addRows(secrets: SecretWindows): Promise<void> {
  const [images] = await filesOf(path.join(network.folder, "job"), /^train-images$/);
  secrets.add("images", images!.bytes.subarray(16));
}

/** What of the secrets is found in files. */
const foundIn = (secrets: SecretWindows, files: readonly { bytes: Uint8Array }[]): string[] => [
  ...new Set(files.flatMap(({ bytes }) => [...secrets.findIn(bytes)])),
];

/** Batches of the job, encrypted as they are, and published keys that a node still has. */
async function blocksOfJob(folder: string): Promise<string[]> {
  const { manifest } = await dataset();
  const { manifestCid } = posted();
  const gone = new Set([manifestCid, ...manifest.cids]);
  const left = await filesOf(folder, /\.data$/);
  const cids = await Promise.all(left.flatMap(({ bytes }) => [cidOf(bytes), cidOf(bytes, "dag-cbor")]));
  return cids.filter((cid) => gone.has(cid));
}

describe("what a worker can open of a job's data", () => {
  it("are the batches of its rounds, which its keys open; no key of it opens another one", async () => {
    const { batches } = await dataset();
    const known = [];
    for (const { identity } of (await identities()).slice(1)) {
      const [secrets] = await openEpochs(identity);
      const keys = await Promise.all([...secrets!.batches.values()].map(dataKeyOf));
      const opened: number[] = [];
      for (const [index, block] of batches.entries())
        for (const key of keys)
          await decryptBlock(block, key.identity).then(
            () => opened.push(index),
            (error: unknown) => expect(error).toMatchObject({ code: "CannotDecrypt" }),
          );
      expect(opened).toEqual([...secrets!.batches.keys()].toSorted((a, b) => a - b));
      expect(opened.length).toBeGreaterThan(0);
      expect(opened.length).toBeLessThanOrEqual(8);
      known.push(opened.join());
    }
    expect(batches).toHaveLength(20);
    expect(new Set(known).size).toBe(workers.length);
  });
});

describe("when a job is over", () => {
  it("its workers have no key, row, weight or update on disk, and their logs of every level never had", async () => {
    const secrets = createSecretWindows();
    await addMembersSecrets(secrets);
    await addTraining(secrets);
    await addRows(secrets);
    for (const folder of workerFolders()) {
      expect(keptIn(folder, /\.data$/).length).toBeGreaterThan(5);
      const left = async () => (await filesOf(path.join(folder, "jobs"))).map(({ name }) => path.basename(name));
      await expect
        .poll(async () => (await left()).filter((name) => !/^receipt-|^artefacts\.json$/.test(name)), {
          timeout: 30_000,
        })
        .toEqual([]);
      expect(await filesOf(path.join(folder, "partial"))).toEqual([]);
      expect(foundIn(secrets, await filesOf(folder))).toEqual([]);
      expect(await blocksOfJob(folder)).toEqual([]);
      const [log] = await filesOf(folder, /^worker\.log$/);
      expect(Buffer.from(log!.bytes).includes('"level":20')).toBe(true);
    }
  });

  it("its requester has its results, and no key, row or batch on disk, in its log or in what it printed", async () => {
    const secrets = createSecretWindows();
    await addMembersSecrets(secrets);
    await addRows(secrets);
    const files = await filesOf(requesterFolder());
    expect(foundIn(secrets, [...files, { bytes: Buffer.from(said.join("\n")) }])).toEqual([]);
    const names = files.map(({ name }) => path.relative(requesterFolder(), name));
    expect(names.filter((name) => name.startsWith("jobs")).map((name) => path.basename(name))).toEqual(
      expect.arrayContaining(["job.json", "model.onnx", "report.html", "summary.json"]),
    );
    expect(names.filter((name) => /^(datasets|partial)/.test(name))).toEqual([]);
    expect(await blocksOfJob(requesterFolder())).toEqual([]);
    expect(said.length).toBeGreaterThan(3);
  });
});

describe("what a relay sees of a job", () => {
  it(
    "holds no 16 bytes of a weight, update, batch, label or key, in any form, on any level",
    { timeout: 120_000 },
    async () => {
      const secrets = createSecretWindows();
      await addMembersSecrets(secrets);
      await addTraining(secrets);
      await addRows(secrets);
      secrets.add("content of a circuit", relayed);
      const counts = secrets.counts();
      for (const name of [
        "node key",
        "group key",
        "secret of the dataset",
        "secret of a batch",
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
      expect(foundIn(secrets, seen)).toEqual([]);
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

describe("the model of a job", () => {
  const download = async (changes: Partial<Parameters<typeof downloadModel>[0]> = {}) =>
    downloadModel({
      rpcUrl: network.rpcUrl,
      relays: [network.relay],
      privateKey: (await identities())[0]!.identity.privateKey,
      dataDir: requesterFolder(),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      signal: AbortSignal.timeout(60_000),
      ui: silentUi,
      jobId,
      ...changes,
    });
  const weightsOf = (onnx: Uint8Array) => readInferenceModel(onnx).weights;
  const written = async () => weightsOf(await fs.readFile(path.join(requesterFolder(), "jobs", jobId, "model.onnx")));
  const elsewhere = (name: string) => path.join(network.folder, name);
  const leaveWrongModel = async (dataDir: string) =>
    keepWrongModel(dataDir, { jobId, from: requesterFolder(), identity: (await identities())[0]!.identity });

  it("comes from the requester's folder by one command, is the one on chain, and is evaluated", async () => {
    const { keystore, passphraseFile } = network.requester;
    const file = elsewhere("downloaded.onnx");
    const child = startChild(
      ["job", "download", jobId, "--out", file, "--test", path.join(network.folder, "job", "job.yaml")].concat(
        ["--rpc", network.rpcUrl, "--keystore", keystore, "--passphrase-file", passphraseFile],
        ["--data", requesterFolder()],
      ),
    );
    const summary = JSON.parse(
      await fs.readFile(path.join(requesterFolder(), "jobs", jobId, "summary.json"), "utf8"),
    ) as { modelId: Hex; testAccuracy: number };
    expect(await child.event("result")).toMatchObject({
      round: 1,
      modelId: summary.modelId,
      source: "here",
      check: { on: "test", samples: 200, accuracy: summary.testAccuracy },
    });
    expect(weightsOf(await fs.readFile(file))).toEqual(await written());
  });

  it("comes from a worker when it is not here, or when what is here is another one", async () => {
    await leaveWrongModel(elsewhere("wrong"));
    const [fresh, wrong] = await Promise.all(["fresh", "wrong"].map((name) => download({ dataDir: elsewhere(name) })));
    if (fresh === undefined || wrong === undefined) throw new Error("both were asked for");
    expect(fresh.source).toMatch(/^0x/);
    expect(fresh.check).toMatchObject({ on: "random", samples: 256 });
    expect(weightsOf(fresh.onnx)).toEqual(await written());
    // From now on it is here, without any network.
    expect(await download({ dataDir: elsewhere("fresh"), relays: [] })).toMatchObject({ source: "here" });
    expect(wrong.source).toMatch(/^0x/);
  });

  it("is refused with a reason: not over, not this wallet's, nobody has it, or not the one on chain", async () => {
    await expect(download({ round: 2 })).rejects.toMatchObject({ code: "JobNotFinished" });
    const outsider = { privateKey: network.outsiderKey(), dataDir: elsewhere("outsider") };
    await expect(download(outsider)).rejects.toMatchObject({ code: "NotRequester" });
    await Promise.all(network.workers.map((worker) => worker.stop()));
    const { modelId } = await download();
    await fs.rm(elsewhere("wrong"), { recursive: true });
    await leaveWrongModel(elsewhere("wrong"));
    await expect(download({ dataDir: elsewhere("wrong") })).rejects.toMatchObject({
      code: "WrongModel",
      message: expect.stringContaining(`the chain has ${modelId}`) as string,
    });
    await expect(download({ dataDir: elsewhere("nothing") })).rejects.toMatchObject({ code: "NoArtefact" });
  });
});
