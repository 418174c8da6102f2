import { createIdentity } from "@skynet/network";
import { ModelBuilder, parseModel } from "@skynet/onnx";
import { compileTraining } from "@skynet/proof";
import { JobMode, type Hex, type JobSpec } from "@skynet/protocol";
import { describe, expect, it } from "vitest";
import type { JobChain, JobFiles, Weights } from "./ports.ts";
import { runRequesterJob, type RequesterResult } from "./requester.ts";
import {
  idOf,
  localTrainer,
  memoryFiles,
  SimulatedChain,
  SimulatedNetwork,
  VirtualClock,
  type Faults,
} from "./simulator.ts";
import { runWorkerJob } from "./worker.ts";

const FEATURES = 6;
const CLASSES = 3;
const BATCH = 4;
const N_BATCHES = 20;
const requester: Hex = `0x${"aa".repeat(20)}`;
const identities = Array.from({ length: 8 }, (_, i) => createIdentity(new Uint8Array(32).fill(i + 1)));
const publicKeys = new Map(identities.map(({ address, publicKey }) => [address, publicKey]));
const workerAddress = (i: number): Hex => identities[i]!.address;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const ZERO: Hex = `0x${"00".repeat(32)}`;
const NOBODY: Hex = `0x${"00".repeat(20)}`;

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function program(averaging: number) {
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

interface Scenario {
  readonly workers?: number;
  readonly minSeats?: number;
  readonly rounds?: number;
  readonly faults?: (worker: number) => Faults;
  /** Ends this worker when the job reaches the phase of the round; `backAfterMs` starts it again with its disk. */
  /** Milliseconds that each step of this worker takes in this round. */
  readonly slow?: { readonly worker: number; readonly round: number; readonly stepMs: number };
  readonly kill?: {
    readonly worker: number;
    readonly round: number;
    readonly phase: string;
    readonly backAfterMs?: number;
  };
}

async function simulate(scenario: Scenario, seed = 1) {
  const { workers = 4, minSeats = 3, rounds = 3 } = scenario;
  const averaging = 2 ** Math.ceil(Math.log2(workers));
  const compiled = program(averaging);
  const clock = new VirtualClock();
  const random = randomOf(seed);
  const trainer = await localTrainer(compiled);
  const initialSeed = new Uint8Array(32).fill(7);
  const initialWeights = await trainer.initialWeights(initialSeed);
  const modelId = idOf(compiled, initialWeights);
  const chain = new SimulatedChain(specOf({ workers, minSeats, rounds, averaging, modelId }), clock, publicKeys);
  for (let i = 0; i < workers; i++) chain.apply({ type: "join", worker: workerAddress(i), minPrice: 0n });
  const bus = new SimulatedNetwork(clock, random);
  const data = Array.from({ length: N_BATCHES }, () => samples(BATCH, random));
  const test = samples(300, random);
  const everything = new AbortController();
  const results = new Map<number, Weights | Error>();
  let killed = false;

  const startWorker = async (i: number, files: JobFiles) => {
    const stop = new AbortController();
    const { network, blocks, leave } = bus.join(workerAddress(i), scenario.faults?.(i));
    const own = await localTrainer(compiled);
    const { slow } = scenario;
    const step = own.step;
    own.step = async (batch) => {
      if (slow?.worker === i && slow.round === chain.state.round) await clock.sleep(slow.stepMs);
      return step(batch);
    };
    const modules = {
      chain: aliveOnly(chain.viewOf(workerAddress(i)), stop.signal),
      network,
      blocks,
      files,
      trainer: own,
      clock,
      log: silent,
      signal: AbortSignal.any([stop.signal, everything.signal]),
      openJob: async () => ({ batch: async (index: number) => data[index]! }),
    };
    const shape = await own.load(new Uint8Array(), { batchSize: BATCH, learningRate: 0.5, averaging });
    const { kill } = scenario;
    const running = runWorkerJob(modules, {
      shape,
      initialSeed,
      onProgress: (event) => {
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
        if (kill.backAfterMs !== undefined) void clock.sleep(kill.backAfterMs).then(() => startWorker(i, files));
      },
    });
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
      chain: chain.viewOf(requester),
      network,
      blocks,
      files: memoryFiles(),
      trainer,
      clock,
      log: silent,
      signal: everything.signal,
      newSecrets: (epoch) => ({ epoch, groupKey: new Uint8Array(32).fill(1), dataIdentity: "none" }),
      useSecrets: async () => undefined,
      evaluate: (weights) => trainer.evaluate(weights, test.x, test.y),
    },
    { shape: await trainer.load(new Uint8Array(), { batchSize: BATCH, learningRate: 0.5, averaging }), initialWeights },
  );
  everything.abort(new Error("the simulation is over"));
  clock.stop();
  await ticking;
  return { result, chain, results };
}

/** A dead node sends no more transactions. */
function aliveOnly(chain: JobChain, dead: AbortSignal): JobChain {
  return new Proxy(chain, {
    get(target, name: keyof JobChain) {
      dead.throwIfAborted();
      return target[name];
    },
  });
}

function specOf(options: {
  workers: number;
  minSeats: number;
  rounds: number;
  averaging: number;
  modelId: Hex;
}): JobSpec {
  return {
    requester,
    seats: options.workers,
    minSeats: options.minSeats,
    rounds: options.rounds,
    maxFails: 3,
    mode: JobMode.QUORUM,
    auditSteps: 0,
    steps: 30,
    token: NOBODY,
    auditBps: 0,
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
    segment: 10,
    averaging: options.averaging,
    priceMin: 100n,
    priceMax: 100n,
    stake: 200n,
    missPenalty: 10n,
    mergeFee: 3n,
    nBatches: BigInt(N_BATCHES),
    workUnits: 1n,
    stepVerifier: ZERO,
    modelId: options.modelId,
    dataRoot: ZERO,
    admitter: NOBODY,
    beacon: NOBODY,
    metaHash: ZERO,
  };
}

function expectBalanced(chain: SimulatedChain, result: RequesterResult): void {
  const { paid, refunded, burnedEscrow, escrow } = chain.state;
  expect(escrow).toBe(0n);
  expect(paid + refunded + burnedEscrow).toBe(
    BigInt(chain.spec.seats * chain.spec.rounds) * 100n + BigInt(chain.spec.rounds) * 3n,
  );
  expect(result.outcome).toBe("COMPLETED");
}

describe("a job in simulation", () => {
  it("ends with identical weights on every worker, all paid", async () => {
    const { result, chain } = await simulate({});
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.merged).toBe(3);
    expect(chain.state.paid).toBe(3n * (4n * 100n + 3n));
    expect(result.accuracy!).toBeGreaterThan(0.6);
    expect(chain.keys?.epoch, "one group key, as nobody left").toBe(0);
  });

  it("survives the loss of a third of all messages", async () => {
    const { result, chain } = await simulate({ faults: () => ({ loss: 0.33 }) }, 3);
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.merged).toBe(3);
  });

  it("goes on without a worker that dies before its commitment, and does not pay it for what it missed", async () => {
    const { result, chain } = await simulate({ kill: { worker: 2, round: 1, phase: "COMMIT" } });
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.active).toBe(0b1011n);
    expect(chain.state.paidCompute.map((seats) => (seats >> 2n) & 1n)).toEqual([1n, 0n, 0n]);
    expect(chain.state.merged).toBe(3);
  });

  it.each(["COMMIT", "PROVE", "MERGE"])("lets a worker that was killed in %s come back and go on", async (phase) => {
    const { result, chain } = await simulate({ kill: { worker: 1, round: 1, phase, backAfterMs: 5000 } });
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.paidCompute.map((seats) => (seats >> 1n) & 1n)).toEqual([1n, 1n, 1n]);
  });

  it("lets a worker that is too slow in one round abstain, and keeps it for the next ones", async () => {
    const { result, chain } = await simulate({ slow: { worker: 3, round: 0, stepMs: 3000 } });
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.paidCompute).toEqual([0b0111n, 0b1111n, 0b1111n]);
    expect(chain.state.paidDelivery).toEqual([0b0111n, 0b1111n, 0b1111n]);
    expect(chain.state.burnedStake).toBe(0n);
  });

  it("ends for a requester that gets no weights: it complains, and the hold is burned", async () => {
    const { result, chain } = await simulate({ faults: () => ({ withholdFrom: [requester] }) });
    expect(result.weights).toBeUndefined();
    expect(result.statesIdentical).toBe(false);
    expect(chain.state.burnedEscrow).toBeGreaterThan(0n);
  });

  it("merges without the update of a worker that sends other bytes than it committed to", async () => {
    const corrupt = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
    const { result, chain } = await simulate({ faults: (worker) => (worker === 3 ? { corrupt } : {}) });
    expectBalanced(chain, result);
    expect(chain.state.paidDelivery.map((seats) => (seats >> 3n) & 1n)).toEqual([0n, 0n, 0n]);
    expect(chain.state.merged).toBe(3);
  });
});
