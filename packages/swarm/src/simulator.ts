import {
  average,
  createExecutor,
  decodeDelta,
  encodeDelta,
  initialWeights,
  quantiseBytes,
  weightTensors,
} from "@skynet/proof";
import type { IntegerProgram } from "@skynet/proof";
import {
  applyJobEvent,
  keccak256,
  postJob,
  SkyNetError,
  tensorId,
  toHex,
  type Hex,
  type JobEvent,
  type JobSpec,
  type JobState,
} from "@skynet/protocol";
import type {
  Address,
  BlockPort,
  ChannelMessage,
  Clock,
  JobChain,
  JobFiles,
  JobNetwork,
  JobSnapshot,
  Trainer,
  Weights,
} from "./ports.ts";
import { makeSnapshot } from "./snapshot.ts";

const text = new TextEncoder();
/** From a transaction's effect to its receipt. */
const RECEIPT_MS = 700;

/** Time that passes only when everybody waits: a run takes no longer than its arithmetic, and is repeatable. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #timers: { atMs: number; wake: () => void }[] = [];
  #running = true;

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal?.reason as Error);
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort, { once: true });
      this.#timers.push({ atMs: this.#nowMs + ms, wake: resolve });
    });
  }

  stop(): void {
    this.#running = false;
  }

  /** Moves the time from timer to timer until stopped. */
  async run(): Promise<void> {
    while (this.#running) {
      for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
      this.#timers.sort((a, b) => a.atMs - b.atMs);
      const next = this.#timers.shift();
      if (!next) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
    }
  }
}

/** A chain with one job: the state machine of the protocol, with signatures that only this simulation accepts. */
export class SimulatedChain {
  state: JobState;
  modelId: Hex;
  keys: { epoch: number; cid: string } | undefined;
  readonly spec: JobSpec;
  readonly jobId: Hex = `0x${"ab".repeat(32)}`;
  readonly commits = new Map<number, Hex>();
  readonly #clock: Clock;

  readonly #publicKeys: ReadonlyMap<Address, Uint8Array>;

  /** `publicKeys`: what the workers registered. */
  constructor(spec: JobSpec, clock: Clock, publicKeys: ReadonlyMap<Address, Uint8Array>) {
    this.spec = spec;
    this.#publicKeys = publicKeys;
    this.#clock = clock;
    this.modelId = spec.modelId;
    this.state = postJob(spec, this.#seconds());
  }

  apply(event: DistributiveOmit<JobEvent, "at">): void {
    const round = this.state.round;
    this.state = applyJobEvent(this.spec, this.state, { ...event, at: this.#seconds() } as JobEvent);
    if (this.state.round !== round) this.commits.clear();
  }

  /** The chain as one node sees it. */
  viewOf(self: Address): JobChain {
    const signatureOf = (worker: Address, statement: string): Hex =>
      `0x${toHex(keccak256(text.encode(`${worker}/${statement}`)))
        .slice(2)
        .padEnd(130, "0")}`;
    const seat = () => this.state.workers.indexOf(self);
    const attestation = (round: number, received: bigint, idNext: Hex) => `attest/${round}/${received}/${idNext}`;
    // As on a real chain, everybody sees the effect before the sender has its receipt.
    const write = async (effect: () => void): Promise<void> => {
      effect();
      await this.#clock.sleep(RECEIPT_MS);
    };
    return {
      self,
      jobId: this.jobId,
      snapshot: async () => this.#snapshot(),
      publicKeyOf: async (worker) => this.#publicKeys.get(worker)!,
      signReady: async (keyRef) => signatureOf(self, `ready/${keyRef}`),
      signAttest: async (round, received, idNext) => signatureOf(self, attestation(round, received, idNext)),
      isReadySignature: async (worker, keyRef, signature) => signature === signatureOf(worker, `ready/${keyRef}`),
      isAttestSignature: async (worker, round, received, idNext, signature) =>
        signature === signatureOf(worker, attestation(round, received, idNext)),
      publishKeys: (epoch, cid) =>
        write(() => {
          this.keys = { epoch, cid };
        }),
      ready: (_keyRef, seats) =>
        write(() => this.apply({ type: "ready", seats: seats.reduce((set, i) => set | (1n << BigInt(i)), 0n) })),
      commit: (round, of, idEnd) => write(() => this.#commit(round, of, idEnd)),
      abstain: () => write(() => this.apply({ type: "abstain", seat: seat() })),
      attest: (seats, received) =>
        write(() => this.apply({ type: "attest", rows: seats.map((i, n) => ({ seat: i, received: received[n]! })) })),
      merge: (idNext) =>
        write(() => {
          this.apply({ type: "merge" });
          this.modelId = idNext;
        }),
      tick: () => write(() => this.apply({ type: "tick" })),
      stop: () => write(() => this.apply({ type: "stop", by: self })),
      accept: () => write(() => this.apply({ type: "accept", by: self })),
      complain: () => write(() => this.apply({ type: "complain", by: self })),
      claim: (of, toRound) => write(() => this.apply({ type: "claim", seat: of, toRound })),
      claimHold: (of) => write(() => this.apply({ type: "claimHold", seat: of })),
      release: (of) => write(() => this.apply({ type: "release", seat: of })),
    };
  }

  #commit(round: number, seat: number, idEnd: Hex): void {
    if (round !== this.state.round) throw new SkyNetError("BadSignature", "the signature is for another round");
    this.apply({ type: "commit", seat });
    if (this.state.round === round) this.commits.set(seat, idEnd);
  }

  #seconds(): number {
    return Math.floor(this.#clock.nowMs() / 1000);
  }

  #snapshot(): JobSnapshot {
    return makeSnapshot(this.spec, this.state, {
      commits: new Map(this.commits),
      keys: this.keys,
      modelId: this.modelId,
      jobSeed: `0x${"5e".repeat(32)}`,
      nowMs: this.#clock.nowMs(),
    });
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** What a simulated node may do wrong. */
export interface Faults {
  /** Share of relay messages that are lost, 0 to 1. */
  readonly loss?: number;
  /** Changes an update before it is sent. */
  readonly corrupt?: (bytes: Uint8Array) => Uint8Array;
  /** Nothing of this node reaches them. */
  readonly withholdFrom?: readonly Address[];
}

/** Nodes that reach each other without sockets; messages arrive after a moment, or are lost. */
export class SimulatedNetwork {
  readonly #nodes = new Map<Address, SimulatedNode>();
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  join(self: Address, faults: Faults = {}): { network: JobNetwork; blocks: BlockPort; leave(): void } {
    const node: SimulatedNode = { handlers: [], onUpdate: undefined, blocks: new Map() };
    this.#nodes.set(self, node);
    const blocks: BlockPort = {
      put: async (bytes) => {
        const cid = toHex(keccak256(bytes));
        node.blocks.set(cid, bytes);
        return cid;
      },
      get: async (cid) => node.blocks.get(cid),
    };
    return { blocks, network: this.#networkOf(self, node, faults), leave: () => this.#nodes.delete(self) };
  }

  #networkOf(self: Address, node: SimulatedNode, { loss = 0, corrupt, withholdFrom = [] }: Faults): JobNetwork {
    const unreachable = () => new SkyNetError("Unreachable", "the node is gone");
    return {
      publish: async (kind, body) => {
        for (const [address, other] of this.#nodes) {
          if (address === self || withholdFrom.includes(address) || this.#random() < loss) continue;
          void this.#clock.sleep(1 + 20 * this.#random()).then(() => {
            if (this.#nodes.get(address) === other)
              for (const handle of other.handlers) handle({ kind, from: self, body });
          });
        }
      },
      onMessage: (handler) => void node.handlers.push(handler),
      sendUpdate: async (to, round, bytes, { deadlineMs, signal }) => {
        while (this.#clock.nowMs() < deadlineMs) {
          await this.#clock.sleep(10, signal);
          try {
            const receiver = this.#nodes.get(to)?.onUpdate;
            if (!receiver || withholdFrom.includes(to)) throw unreachable();
            await receiver(self, round, corrupt ? corrupt(bytes) : bytes);
            return new Uint8Array(1);
          } catch {
            await this.#clock.sleep(500, signal);
          }
        }
        throw new SkyNetError("NotDelivered", "the deadline passed");
      },
      onUpdate: (admit, handler) => {
        node.onUpdate = async (from, round, bytes) => {
          if (!admit(from, round)) throw new SkyNetError("Refused", "not admitted");
          await handler(from, round, bytes);
        };
      },
      fetchBlock: async (from, cid, signal) => {
        await this.#clock.sleep(10, signal);
        const bytes = this.#nodes.get(from)?.blocks.get(cid);
        if (!bytes || toHex(keccak256(bytes)) !== cid) throw unreachable();
        return bytes;
      },
      traffic: () => ({ sentBytes: 0, receivedBytes: 0 }),
    };
  }
}

interface SimulatedNode {
  readonly handlers: ((message: ChannelMessage) => void)[];
  onUpdate: ((from: Address, round: number, bytes: Uint8Array) => Promise<void>) | undefined;
  readonly blocks: Map<string, Uint8Array>;
}

/** Files in memory; keep the object to restart a node with its disk. */
export function memoryFiles(): JobFiles {
  const files = new Map<string, Uint8Array>();
  return {
    read: async (name) => files.get(name),
    write: async (name, bytes) => void files.set(name, bytes),
  };
}

/** The real executor in the calling thread. */
export async function localTrainer(program: IntegerProgram): Promise<Trainer & { program: IntegerProgram }> {
  const executor = await createExecutor(program);
  const evaluator = await createExecutor(program);
  const tensors = weightTensors(program);
  return {
    program,
    load: async () => ({ tensors, features: program.input.features, classes: program.loss.classes }),
    initialWeights: async (seed) => initialWeights(program, seed),
    quantise: async (bytes) => quantiseBytes(program, bytes),
    setWeights: async (weights) => executor.load(weights),
    step: async ({ x, y }) => executor.step(x, y).loss,
    weights: async () => executor.weights(),
    id: async (weights) => idOf(program, weights),
    encodeUpdate: async (base, updated) => encodeDelta(program, base, updated),
    applyUpdate: async (base, update) => decodeDelta(program, base, update),
    average: async (base, updates) => average(program, base, updates),
    evaluate: async (weights, x, y) => {
      evaluator.load(weights);
      const { correct, loss } = evaluator.evaluate(x, y, y.length);
      return { accuracy: correct / y.length, loss };
    },
    exportModel: async () => new Uint8Array(),
    close: async () => undefined,
  };
}

/** Id of weights in quorum mode. */
export function idOf(program: IntegerProgram, weights: Weights): Hex {
  const tensors = weightTensors(program).map(({ shape, scale }, i) => ({ shape, scale, data: weights[i]! }));
  return toHex(tensorId("weights", tensors));
}
