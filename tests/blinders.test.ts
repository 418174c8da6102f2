// Blinders with the trainer that nodes run: in its updates, in the weights of a restarted member, and in the dataset.
import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { readJobFile } from "@skynet/node";
import type { Hex } from "@skynet/protocol";
import { dataKeyOf, openBlockStore, openDataset } from "@skynet/storage";
import { batchSecret, type BlindedWeights, type CommittedWeights, type JobSnapshot } from "@skynet/swarm";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { prepareData, publishTrainingSet } from "../packages/node/src/roles/requester-data.ts";
import { ModelTrainer } from "../packages/node/src/trainer/model-trainer.ts";
import { JobPeer, type PeerModules } from "../packages/swarm/src/job-peer.ts";
import type { Trainer } from "../packages/swarm/src/ports.ts";
import { memoryFiles } from "../packages/swarm/src/simulator.ts";
import { encodeWeights } from "../packages/swarm/src/weights.ts";
import { silentUi } from "./support/network.ts";
import { tinyCircuit, tinyModel, writeTinyJob } from "./support/tiny-job.ts";

const BATCH = 16;
const FEATURES = 36;
const BLINDER = 32;
const alice: Hex = `0x${"a1".repeat(20)}`;
const bob: Hex = `0x${"b0".repeat(20)}`;
const secretOf = (byte: number) => new Uint8Array(32).fill(byte);

const settingsOf = (hiding: boolean) => ({
  batchSize: BATCH,
  learningRate: 0.5,
  averaging: 4,
  proof: { chainId: 31337, circuit: { ...tinyCircuit, hiding } },
});

async function trainerOf(hiding: boolean): Promise<Trainer> {
  const trainer = new ModelTrainer({ threads: 1 });
  await trainer.load(tinyModel(), settingsOf(hiding));
  return Object.assign(trainer, { close: async () => undefined });
}

/** W_0, which everybody knows. */
async function initial(trainer: Trainer): Promise<CommittedWeights & { id: Hex }> {
  const weights = await trainer.initialWeights(secretOf(9));
  return { weights, ...(await trainer.identify(weights)) };
}

const batchOf = (step: number) => ({
  x: Int8Array.from({ length: BATCH * FEATURES }, (_, i) => ((i * 7 + step * 13) % 60) - 20),
  y: Uint8Array.from({ length: BATCH }, (_, i) => (i + step) % 4),
});

/** Two steps: the ids after each, and the update. */
async function round(trainer: Trainer, start: CommittedWeights, secret: Uint8Array) {
  await trainer.setWeights({ ...start, secret });
  const before = await trainer.checkpoint();
  await trainer.step(batchOf(0));
  const middle = await trainer.checkpoint();
  await trainer.step(batchOf(1));
  const { id, blinders } = await trainer.checkpoint();
  const weights = await trainer.weights();
  const update = await trainer.encodeUpdate(start.weights, { weights, blinders });
  return { ids: [before.id, middle.id, id], weights, blinders, update };
}

const otherLast = (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte));

/** A member of a job whose chain and network are what the test says. */
async function peerOf(trainer: Trainer, modelId: Hex, commits: ReadonlyMap<number, { idEnd: Hex; stepsRoot: Hex }>) {
  const snapshot = {
    round: 0,
    modelId,
    workers: [alice, bob],
    active: 3n,
    ready: 0n,
    commits,
  } as unknown as JobSnapshot;
  const blocks = new Map<Hex, Uint8Array>();
  const files = memoryFiles();
  let deliver!: (from: Hex, of: number, bytes: Uint8Array) => Promise<void>;
  let say!: (message: { kind: string; from: Hex; body: unknown }) => void;
  const modules = {
    chain: { snapshot: async () => snapshot },
    network: {
      onMessage: (handler: typeof say) => (say = handler),
      onUpdate: (_admit: unknown, handler: typeof deliver) => (deliver = handler),
      follow: () => undefined,
      send: async () => [],
      fetchBlock: async ([from]: Hex[]) => blocks.get(from!)!,
    },
    blocks: { put: async () => "cid" },
    files,
    trainer,
    clock: { nowMs: () => 0, sleep: async () => undefined },
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    signal: new AbortController().signal,
  } as unknown as PeerModules;
  const peer = new JobPeer(modules);
  peer.shape = await trainer.load(tinyModel(), settingsOf(true));
  await peer.refresh();
  return {
    peer,
    files,
    deliver,
    /** Offers weights as a peer's state. */
    offer: (from: Hex, state: BlindedWeights) => {
      blocks.set(from, encodeWeights(state));
      const id = Uint8Array.from(Buffer.from(modelId.slice(2), "hex"));
      say({ kind: "have-state", from, body: { modelId: id, cid: from } });
    },
  };
}

describe("a worker's commitments", () => {
  it("are made again exactly, and look different for another secret", async () => {
    const trainer = await trainerOf(true);
    const start = await initial(trainer);
    const first = await round(trainer, start, secretOf(1));
    const restarted = await trainerOf(true);
    expect(await round(restarted, await initial(restarted), secretOf(1))).toEqual(first);
    const other = await round(trainer, start, secretOf(2));
    expect(other.weights).toEqual(first.weights);
    expect(other.ids[0]).toBe(start.id);
    expect(new Set([...first.ids, ...other.ids]).size).toBe(5);
    // what is told to the others is enough to find the id, and less is not
    expect((await trainer.identify(first.weights, first.blinders)).id).toBe(first.ids[2]);
    expect((await trainer.identify(first.weights)).id).not.toBe(first.ids[2]);
  });

  it("have no blinders without zero knowledge, and take none", async () => {
    const trainer = await trainerOf(false);
    const start = await initial(trainer);
    const first = await round(trainer, start, secretOf(1));
    expect(await round(trainer, start, secretOf(2))).toEqual(first);
    expect(first.blinders.every((byte) => byte === 0)).toBe(true);
    await expect(trainer.identify(first.weights, otherLast(first.blinders))).rejects.toMatchObject({
      code: "BadBlinders",
    });
  });
});

describe("a member of a job", () => {
  it("takes an update only with the blinders that were committed to", async () => {
    const trainer = await trainerOf(true);
    const start = await initial(trainer);
    const { update, ids, weights } = await round(trainer, start, secretOf(1));
    const commits = new Map([[1, { idEnd: ids[2]!, stepsRoot: ids[0]! }]]);
    const { peer, deliver } = await peerOf(trainer, start.id, commits);
    await peer.adoptInitial(start.weights);

    const cases: [string, Uint8Array][] = [
      ["BadUpdate", otherLast(update)],
      ["BadUpdate", Uint8Array.from([...update.subarray(0, -BLINDER), ...new Uint8Array(BLINDER)])],
      ["BadBlinders", Uint8Array.from([...update.subarray(0, -BLINDER), ...new Uint8Array(BLINDER).fill(255)])],
      ["BadBlinders", update.subarray(0, -BLINDER)],
      ["BadBlinders", Uint8Array.from([...update, ...new Uint8Array(BLINDER)])],
      ["BadUpdate", update.map((byte, i) => (i === 0 ? byte ^ 1 : byte))],
    ];
    for (const [code, bytes] of cases) await expect(deliver(bob, 0, bytes), code).rejects.toMatchObject({ code });
    expect(peer.received()).toBe(0n);
    await deliver(bob, 0, update);
    expect(peer.received()).toBe(0b10n);
    expect(peer.heldUpdates().get(1)!.weights).toEqual(weights);
  });

  it("that has lost the weights passes over damaged files and over peers that lie about blinders", async () => {
    const trainer = await trainerOf(true);
    const start = await initial(trainer);
    const updates = [await round(trainer, start, secretOf(1)), await round(trainer, start, secretOf(2))];
    const average = await trainer.average(start, updates);
    const { id } = await trainer.identify(average.weights, average.blinders);
    const { peer, files, offer } = await peerOf(trainer, id, new Map());
    await files.write("state.cbor", new Uint8Array([0xff]));
    expect(await peer.syncBase()).toBe(false);

    offer(alice, { ...average, blinders: otherLast(average.blinders) });
    expect(await peer.syncBase()).toBe(false);
    offer(alice, { ...average, blinders: new Uint8Array() });
    offer(bob, average);
    expect(await peer.syncBase()).toBe(true);
    expect(peer.base).toMatchObject({ modelId: id, ...average });

    // and it finds them on its disk the next time
    const again = await peerOf(trainer, id, new Map());
    await again.files.write("state.cbor", (await files.read("state.cbor"))!);
    expect(await again.peer.syncBase()).toBe(true);
    expect(again.peer.base!.blinders).toEqual(average.blinders);
  });
});

describe("the dataset of a job", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-"));
  });
  afterAll(() => fs.rm(folder, { recursive: true, force: true }));

  async function publish(trainer: Trainer) {
    const job = await readJobFile(await writeTinyJob(path.join(folder, "job")));
    const shape = await trainer.load(tinyModel(), settingsOf(true));
    const datasetSecret = randomBytes(32);
    const blocks = await openBlockStore(path.join(folder, "blocks"));
    const commit = vi.spyOn(trainer, "commitBatches");
    const modules = {
      node: { blocks },
      datasetSecret,
      ui: silentUi,
      signal: new AbortController().signal,
      cacheDir: folder,
      dataDir: folder,
    };
    const data = await prepareData(job, shape, modules);
    const { manifest, manifestBytes, root } = await publishTrainingSet(job, data, trainer, shape, modules);
    const committed = commit.mock.calls.reduce((sum, [batches]) => sum + batches.length, 0);
    commit.mockRestore();
    const dataset = openDataset({
      manifestBytes,
      expectedRoot: root,
      identity: async (index) => (await dataKeyOf(batchSecret(datasetSecret, index))).identity,
      fetch: async () => Promise.reject(new Error("not here")),
      blockStore: blocks,
    });
    /** What a worker checks before it is ready. */
    const batches = await Promise.all(
      manifest.cids.map(async (_, index) => ({
        ...(await dataset.batch(index)),
        index,
        secret: batchSecret(datasetSecret, index),
        points: manifest.commitments!.points[index]!,
      })),
    );
    return { batches, committed };
  }

  it("is hidden by blinders that its members, and nobody else, derive", async () => {
    const trainer = await trainerOf(true);
    const { batches } = await publish(trainer);
    await trainer.checkBatches(batches);
    const plain = await trainer.commitBatches(batches);
    for (const [i, { points }] of batches.entries()) expect(points).not.toEqual(plain[i]);

    const bad = expect.objectContaining({ code: "BadBatch" });
    const [first, second] = batches as [(typeof batches)[0], (typeof batches)[0]];
    const wrong = [
      { ...first, secret: second.secret },
      { ...first, index: 1 },
      { ...first, points: plain[0]! },
      { ...first, points: second.points },
      { ...first, x: first.x.map((value, i) => (i === 0 ? value ^ 1 : value)) },
    ];
    for (const batch of wrong) await expect(trainer.checkBatches([second, batch])).rejects.toEqual(bad);
  });

  it("is committed to once for several jobs, and no two jobs show the same points", async () => {
    await fs.rm(path.join(folder, "commitments"), { recursive: true, force: true });
    const trainer = await trainerOf(true);
    const [first, second] = [await publish(trainer), await publish(trainer)];
    expect([first.committed, second.committed]).toEqual([first.batches.length, 0]);
    await trainer.checkBatches(second.batches);
    expect(second.batches[0]!.points).not.toEqual(first.batches[0]!.points);

    const [cache] = await fs.readdir(path.join(folder, "commitments"));
    const file = path.join(folder, "commitments", cache!);
    const good = await fs.readFile(file);
    for (const at of [5, 64 + 5]) {
      const damaged = Buffer.from(good);
      damaged[at] = damaged[at]! ^ 1;
      await fs.writeFile(file, damaged);
      const third = await publish(trainer);
      expect(third.committed).toBe(third.batches.length);
      await trainer.checkBatches(third.batches);
      expect(await fs.readFile(file)).toEqual(good);
    }
  });
});
