// A whole job in one process, for the tests of the drivers.
import { createIdentity } from "@skynet/network";
import { ModelBuilder, parseModel } from "@skynet/onnx";
import { compileTraining, createExecutor } from "@skynet/proof";
import { JobMode, JobPhase, merklePath, merkleRoot, nameOf, toHex, type Hex, type JobSpec } from "@skynet/protocol";
import { batchSecret } from "./blinding.ts";
import { SwarmError } from "./errors.ts";
import { openSecrets } from "./keys.ts";
import type { DatasetBatch, Evaluation, JobChain, JobFiles, Weights } from "./ports.ts";
import { runRequesterJob } from "./requester.ts";
import { SimulatedChain } from "./simulated-chain.ts";
import {
  batchIdOf,
  idOf,
  localTrainer,
  NO_BLINDERS,
  recomputingVerifier,
  type AfterStep,
} from "./simulated-trainer.ts";
import { memoryFiles, SimulatedNetwork, VirtualClock, type Faults } from "./simulator.ts";
import { runWorkerJob, type WorkerModules, type WorkerProgress } from "./worker.ts";

const FEATURES = 6;
const CLASSES = 3;
const BATCH = 4;
const N_BATCHES = 20;
export const requester: Hex = `0x${"aa".repeat(20)}`;
const identities = Array.from({ length: 8 }, (_, i) => createIdentity(new Uint8Array(32).fill(i + 1)));
const publicKeys = new Map(identities.map(({ address, publicKey }) => [address, publicKey]));
const workerAddress = (i: number): Hex => identities[i]!.address;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const ZERO: Hex = `0x${"00".repeat(32)}`;
const DATASET_SECRET = new Uint8Array(32).fill(9);
const NOBODY: Hex = `0x${"00".repeat(20)}`;

export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The model of the simulations. */
export function smallProgram(averaging: number) {
  const model = new ModelBuilder({ name: "small" });
  const x = model.input("x", "float32", ["batch", FEATURES]);
  const w = (name: string, ...shape: number[]) =>
    model.constant(name, "float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  const hidden = model.node("Relu", [model.node("Gemm", [x, w("w1", FEATURES, 5), w("b1", 5)])]);
  model.output(model.node("Gemm", [hidden, w("w2", 5, CLASSES), w("b2", CLASSES)]), "z", "float32", ["batch", CLASSES]);
  return compileTraining(parseModel(model.encode()), { batchSize: BATCH, learningRate: 0.5, workers: averaging });
}

/** The class of a sample is the largest of its first three inputs. */
function samples(count: number, random: () => number) {
  const x = Int8Array.from({ length: count * FEATURES }, () => Math.floor(random() * 60) - 30);
  const y = Uint8Array.from({ length: count }, (_, i) => {
    const [a, b, c] = x.subarray(i * FEATURES, i * FEATURES + 3) as unknown as [number, number, number];
    return a >= b && a >= c ? 0 : b >= c ? 1 : 2;
  });
  return { x, y };
}

/** What happens in a simulated job. */
export interface Scenario {
  /** Proof mode, with these terms; quorum mode without. */
  readonly proof?: ProofTerms;
  /** What a worker does to its weights after its steps. */
  readonly afterStep?: (worker: number) => AfterStep | undefined;

  readonly workers?: number;
  readonly minSeats?: number;
  readonly rounds?: number;
  readonly faults?: (worker: number) => Faults;
  /** Milliseconds that each step of this worker takes in this round. */
  readonly slow?: { readonly worker: number; readonly round: number; readonly stepMs: number };
  /** Ends this worker when the job reaches the phase of the round; `backAfterMs` starts it again with its disk. */
  readonly kill?: {
    readonly worker: number;
    readonly round: number;
    readonly phase: string;
    readonly backAfterMs?: number;
    /** What happens to its disk meanwhile. */
    readonly damage?: (files: JobFiles) => Promise<void>;
  };
  /** Evaluates instead of the requester's trainer. */
  readonly evaluate?: () => Promise<Evaluation>;
  /** How the requester sees the chain. */
  readonly requesterChain?: (view: JobChain) => JobChain;
  /** Replaces parts of a worker. */
  readonly change?: (worker: number, modules: WorkerModules, chain: SimulatedChain) => Partial<WorkerModules>;
}

export async function simulate(scenario: Scenario, seed = 1) {
  const { workers = 4, minSeats = 3, rounds = 3 } = scenario;
  const averaging = 2 ** Math.ceil(Math.log2(workers));
  const compiled = smallProgram(averaging);
  const clock = new VirtualClock();
  const random = randomOf(seed);
  const trainer = await localTrainer(compiled);
  const initialSeed = new Uint8Array(32).fill(7);
  const initialWeights = await trainer.initialWeights(initialSeed);
  const modelId = idOf(compiled, { weights: initialWeights, blinders: NO_BLINDERS });
  const data = Array.from({ length: N_BATCHES }, (_, index) => ({
    ...samples(BATCH, random),
    index,
    secret: batchSecret(DATASET_SECRET, index),
  }));
  const leaves = data.map(batchIdOf);
  const terms = { workers, minSeats, rounds, averaging, modelId, dataRoot: toHex(merkleRoot(leaves)) };
  const verifier = recomputingVerifier(compiled, await createExecutor(compiled), data);
  const chain = new SimulatedChain(specOf(terms, scenario.proof), clock, publicKeys, { verifier, random });
  for (let i = 0; i < workers; i++) chain.apply({ type: "join", worker: workerAddress(i), minPrice: 0n });
  const bus = new SimulatedNetwork(clock, random);
  const test = samples(300, random);
  const everything = new AbortController();
  const results = new Map<number, Weights | Error>();
  const events: { worker: number; event: WorkerProgress }[] = [];
  /** Keys that the requester handed out: to whom, in which round and phase. */
  const keys: { epoch: number; round: number; phase: string; seats: number[] }[] = [];
  /** Ids of the models that the requester kept, by round. */
  const checkpoints = new Map<number, Hex>();
  let killed = false;

  const startWorker = async (i: number, files: JobFiles) => {
    const stop = new AbortController();
    const { network, blocks, leave } = bus.join(workerAddress(i), scenario.faults?.(i));
    const afterStep = scenario.afterStep?.(i);
    const own = await localTrainer(compiled, afterStep ? { afterStep } : {});
    const { slow } = scenario;
    const step = own.step;
    own.step = async (batch) => {
      if (slow?.worker === i && slow.round === chain.state.round) await clock.sleep(slow.stepMs);
      return step(batch);
    };
    const modules: WorkerModules = {
      chain: aliveOnly(chain.viewOf(workerAddress(i)), stop.signal),
      network,
      blocks,
      files,
      trainer: own,
      clock,
      log: silent,
      signal: AbortSignal.any([stop.signal, everything.signal]),
      openJob: async ({ epoch, cid }, needed) => {
        const fetch = (block: string) => network.fetchBlock([requester], block);
        const opening = { jobId: chain.viewOf(requester).jobId, epoch, self: identities[i]!, needed, fetchList: fetch };
        const { batches } = await openSecrets(await fetch(cid), opening);
        return sourceOf(data, leaves, batches);
      },
      blindingSecret: new Uint8Array(32).fill(i + 1),
    };
    const shape = await own.load(new Uint8Array(), { batchSize: BATCH, learningRate: 0.5, averaging });
    const { kill } = scenario;
    const running = runWorkerJob(
      { ...modules, ...scenario.change?.(i, modules, chain) },
      {
        shape,
        initialSeed,
        onProgress: (event) => {
          events.push({ worker: i, event });
          if (
            kill?.worker !== i ||
            event.type !== "phase" ||
            event.round !== kill.round ||
            event.phase !== kill.phase ||
            killed
          )
            return;
          killed = true;
          stop.abort(new Error("killed"));
          leave();
          if (kill.backAfterMs !== undefined)
            void clock
              .sleep(kill.backAfterMs)
              .then(() => kill.damage?.(files))
              .then(() => startWorker(i, files));
        },
      },
    );
    running.then(
      async () => results.set(i, await own.weights()),
      (error: Error) => results.set(i, error),
    );
  };

  const ticking = clock.run();
  for (let i = 0; i < workers; i++) await startWorker(i, memoryFiles());
  const { network, blocks } = bus.join(requester);
  const result = await runRequesterJob(
    {
      chain: scenario.requesterChain?.(chain.viewOf(requester)) ?? chain.viewOf(requester),
      network,
      blocks,
      files: memoryFiles(),
      trainer,
      clock,
      log: silent,
      signal: everything.signal,
      newSecrets: (epoch) => ({ epoch, groupKey: new Uint8Array(32).fill(1), datasetSecret: DATASET_SECRET }),
      useSecrets: async ({ epoch }, { members }) => {
        const { round, phase, workers: seated } = chain.state;
        const seats = members.map((member) => seated.indexOf(member));
        keys.push({ epoch, round, phase: nameOf(JobPhase, phase), seats });
      },
      evaluate: scenario.evaluate ?? ((weights) => trainer.evaluate(weights, test.x, test.y)),
      keepCheckpoint: async (round, { modelId: kept }) => void checkpoints.set(round, kept),
    },
    { shape: await trainer.load(new Uint8Array(), { batchSize: BATCH, learningRate: 0.5, averaging }), initialWeights },
  );
  everything.abort(new Error("the simulation is over"));
  clock.stop();
  await ticking;
  return { result, chain, results, events, keys, checkpoints };
}

/** What a worker with these secrets can open. */
const sourceOf = (
  data: readonly DatasetBatch[],
  leaves: readonly Uint8Array[],
  secrets: ReadonlyMap<number, Uint8Array>,
) => ({
  batch: async (index: number) => {
    const secret = secrets.get(index);
    if (secret === undefined) throw new SwarmError("BadKeys", `no secret of batch ${index}`);
    return { ...data[index]!, secret };
  },
  commitments: {
    points: (index: number) => leaves[index]!,
    path: (index: number) => merklePath(leaves, index).map(toHex),
  },
});

/** A dead node sends no more transactions. */
function aliveOnly(chain: JobChain, dead: AbortSignal): JobChain {
  return new Proxy(chain, {
    get(target, name: keyof JobChain) {
      dead.throwIfAborted();
      return target[name];
    },
  });
}

export interface ProofTerms {
  readonly steps: number;
  readonly segment: number;
  readonly auditSteps: number;
  readonly auditBps?: number;
}

interface Terms {
  readonly workers: number;
  readonly minSeats: number;
  readonly rounds: number;
  readonly averaging: number;
  readonly modelId: Hex;
  readonly dataRoot: Hex;
}

function specOf(options: Terms, proof: ProofTerms | undefined): JobSpec {
  return {
    requester,
    seats: options.workers,
    minSeats: options.minSeats,
    rounds: options.rounds,
    maxFails: 3,
    mode: proof ? JobMode.PROOF : JobMode.QUORUM,
    auditSteps: proof?.auditSteps ?? 0,
    steps: proof?.steps ?? 30,
    token: NOBODY,
    auditBps: proof ? (proof.auditBps ?? 10_000) : 0,
    deliveryBps: 2000,
    holdBps: 500,
    deadline: 0,
    joinWindow: 60,
    readyWindow: 60,
    commitWindow: 60,
    drawWindow: 60,
    proveWindow: 60,
    mergeWindow: 60,
    deliverWindow: 60,
    segment: proof?.segment ?? 10,
    averaging: options.averaging,
    priceMin: 100n,
    priceMax: 100n,
    stake: proof ? 500n : 200n,
    missPenalty: 10n,
    mergeFee: 3n,
    nBatches: BigInt(N_BATCHES),
    workUnits: 1n,
    stepVerifier: ZERO,
    modelId: options.modelId,
    dataRoot: options.dataRoot,
    admitter: NOBODY,
    beacon: NOBODY,
    metaHash: ZERO,
  };
}
