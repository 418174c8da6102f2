// A job and a stream of messages, while machines of the network lose their power at random.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { SkyNetChild } from "@skynet/node";
import { createChance } from "../netlab/line.ts";
import { countLostMessages, countLostUpdates, watchBlocks } from "./acknowledged.ts";
import { startLabNetwork, type LabNetwork } from "./lab-network.ts";
import type { MessengerReport } from "./lab-messenger.ts";
import { writeSmallJob } from "./small-job.ts";

export interface ChurnOptions {
  /** How long machines are killed, seconds; jobs follow one another until then. */
  readonly seconds: number;
  readonly seed: number;
  /** Rounds of each job. */
  readonly rounds: number;
  readonly onProgress?: (seconds: number) => void;
}

export interface ChurnReport {
  readonly jobs: readonly Record<string, unknown>[];
  readonly relayKills: number;
  readonly workerKills: number;
  readonly messages: { readonly acknowledged: number; readonly lost: number; readonly waiting: number };
  readonly updates: { readonly acknowledged: number; readonly lost: number };
}

const WORKERS = ["worker1", "worker2", "worker3", "worker4"];
const MESSENGER = path.join(import.meta.dirname, "lab-messenger.ts");
const JOB_MS = 600_000;
const REPORT_MS = 180_000;
/** Windows that a worker which is started again has no trouble with, seconds. */
const WINDOWS = { join: 120, ready: 120, commit: 90, prove: 90, merge: 90, deliver: 90 };

/** What runs on the machines that are killed: a relay on one, a worker and a messenger on each of the others. */
class Machines {
  readonly #network: LabNetwork;
  readonly #workers = new Map<string, SkyNetChild>();
  readonly #messengers = new Map<string, ChildProcess>();
  #relay!: SkyNetChild;

  constructor(network: LabNetwork) {
    this.#network = network;
  }

  async start(): Promise<void> {
    this.#relay = this.#network.relayProcesses.get("relay1")!;
    await Promise.all(WORKERS.map((machine) => this.startWorker(machine)));
  }

  async startRelay(): Promise<void> {
    this.#relay = await this.#network.startRelay("relay1");
  }

  async killRelay(): Promise<void> {
    await killed(this.#relay.process);
  }

  async startWorker(machine: string): Promise<void> {
    const { lab, relays, folder } = this.#network;
    const number = String(WORKERS.indexOf(machine) + 1);
    const args = [number, lab.address(machine), relays[0]!, path.join(folder, `${machine}-messages`), "4"];
    const messenger = lab.fork(machine, MESSENGER, args);
    this.#messengers.set(machine, messenger);
    const worker = this.#network.startWorker(machine);
    this.#workers.set(machine, worker);
    await Promise.all([worker.event("ready", 120_000), answerOf(messenger, 120_000)]);
  }

  async killWorker(machine: string): Promise<void> {
    await Promise.all([killed(this.#workers.get(machine)!.process), killed(this.#messengers.get(machine)!)]);
  }

  /** Tells the messengers to end. @returns what each has receipts for */
  async reports(): Promise<MessengerReport[]> {
    return Promise.all(
      [...this.#messengers.values()].map((messenger) => {
        const report = answerOf<MessengerReport>(messenger, REPORT_MS);
        messenger.send("end");
        return report;
      }),
    );
  }
}

async function answerOf<T>(child: ChildProcess, timeoutMs: number): Promise<T> {
  const [answer] = (await once(child, "message", { signal: AbortSignal.timeout(timeoutMs) })) as [T];
  return answer;
}

/** Ends a process as a power cut does. @throws Error when it had ended before, by itself */
async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) throw new Error(`a node ended by itself with code ${child.exitCode}`);
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** Kills the relay or a worker's machine again and again, and starts it after a while. */
async function killAtRandom(machines: Machines, { seconds, seed, onProgress }: ChurnOptions) {
  const chance = createChance(seed);
  const kills = { relayKills: 0, workerKills: 0 };
  const startMs = Date.now();
  const passed = () => (Date.now() - startMs) / 1000;
  // A short run goes on until both were killed.
  while (passed() < seconds || kills.relayKills * kills.workerKills === 0) {
    await delay(1000 + 4000 * chance());
    const downMs = 300 + 2700 * chance();
    if (chance() < 0.4) {
      kills.relayKills += 1;
      await machines.killRelay();
      await delay(downMs);
      await machines.startRelay();
    } else {
      kills.workerKills += 1;
      const machine = WORKERS[Math.floor(chance() * WORKERS.length)]!;
      await machines.killWorker(machine);
      await delay(downMs);
      await machines.startWorker(machine);
    }
    onProgress?.(Math.min(seconds, Math.floor(passed())));
  }
  return kills;
}

/** Waits for the first round of a job. */
function firstRound(requester: SkyNetChild): Promise<void> {
  return new Promise((resolve, reject) => {
    requester.onEvent(({ event, phase }) => event === "phase" && phase === "COMMIT" && resolve());
    requester.process.once("exit", (code) => reject(new Error(`the requester ended with code ${code}`)));
  });
}

/**
 * Runs jobs of four workers while the relay and the workers' machines are killed and started again, one after the other.
 * @throws Error when a node ends by itself or a job does not end
 */
export async function runChurn(options: ChurnOptions): Promise<ChurnReport> {
  const network = await startLabNetwork({ workers: WORKERS.length, seed: options.seed });
  const folders = [...WORKERS, "requester"].map((name) => path.join(network.folder, name));
  const blocks = watchBlocks(folders);
  try {
    const machines = new Machines(network);
    await machines.start();
    const { rounds } = options;
    const settings = { workers: 4, minimum: 3, rounds, localSteps: 4, windows: WINDOWS };
    const job = await writeSmallJob(path.join(network.folder, "job"), settings);
    const jobs: Record<string, unknown>[] = [];
    let requester = network.train(job);
    await firstRound(requester);
    const endMs = Date.now() + 1000 * options.seconds;
    const killing = killAtRandom(machines, options);
    killing.catch(() => undefined); // It is awaited below.
    for (;;) {
      jobs.push(await requester.event("summary", JOB_MS));
      if (Date.now() >= endMs) break;
      await fs.rm(path.join(network.folder, "requester", "jobs"), { recursive: true, force: true });
      await once(requester.process, "exit");
      requester = network.train(job);
    }
    const kills = await killing;
    const reports = await machines.reports();
    const messages = await countLostMessages(
      reports.map((report, i) => ({ ...report, folder: path.join(network.folder, `${WORKERS[i]!}-messages`) })),
    );
    const updates = await countLostUpdates(folders, await blocks.end());
    return { jobs, ...kills, messages, updates };
  } finally {
    await blocks.end();
    await network.close();
  }
}

/**
 * Nothing is asked of `statesIdentical`: it says whether every worker was there for the last word.
 * @throws Error unless all jobs completed and nothing that was acknowledged is lost
 */
export function checkChurn(report: ChurnReport): void {
  const { jobs, messages, updates } = report;
  const { jobs: _, ...rest } = report;
  for (const { jobId, outcome, budget, paid, refunded, burned } of jobs) {
    const parts = [paid, refunded, burned].map((it) => BigInt(it as string));
    if (outcome !== "COMPLETED" || parts.reduce((sum, part) => sum + part, 0n) !== BigInt(budget as string))
      throw new Error(`job ${String(jobId)} ended as ${String(outcome)}, or money is missing: ${JSON.stringify(rest)}`);
  }
  if (messages.lost + messages.waiting + updates.lost > 0)
    throw new Error(`acknowledged and lost, or never acknowledged: ${JSON.stringify(rest)}`);
}
