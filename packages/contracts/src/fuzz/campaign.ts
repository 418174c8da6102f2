import { createRandom, JobOutcome, JobPhase } from "@skynet/protocol";
import { Agent } from "./agent.ts";
import { Purchase } from "./catalog-model.ts";
import { Duel, opening } from "./duel.ts";
import type { TraceBlock } from "./duel.ts";
import { startEvm } from "./evm.ts";
import type { Evm } from "./evm.ts";
import { Request } from "./inference-model.ts";
import { describeFailure, shrink } from "./shrink.ts";
import { furnish } from "./world.ts";
import type { Call, World } from "./world.ts";

export interface CampaignOptions {
  /** Calls to make, questions about the state not counted. */
  readonly calls: number;
  readonly seed: number;
  readonly onProgress?: ((done: number) => void) | undefined;
}

export interface CampaignReport {
  readonly calls: number;
  readonly blocks: number;
  /** Reads of storage that were compared. */
  readonly questions: number;
  readonly jobs: number;
  /** Calls that succeeded and that were refused, by function. */
  readonly functions: Readonly<Record<string, { succeeded: number; refused: number }>>;
  readonly refusals: Readonly<Record<string, number>>;
  /** Times that a call found a job in a phase. */
  readonly phases: Readonly<Record<string, number>>;
  /** Jobs by how they ended. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Purchases and requests of answers by their states at the end. */
  readonly purchases: Readonly<Record<string, number>>;
  readonly requests: Readonly<Record<string, number>>;
}

/** The chain and the model disagree, or an invariant does not hold. The message has the shortest trace that was found. */
export class FuzzFailure extends Error {
  constructor(seed: number, calls: number, trace: readonly TraceBlock[], reason: unknown) {
    const again = `npm run fuzz -- contracts --seed ${seed} --calls ${calls}`;
    super(`${describeFailure(trace, reason)}\nagain: ${again}`, { cause: reason });
    this.name = "FuzzFailure";
  }
}

/** Calls on one state of the chain; then everything is undone, because blocks cost more the more storage there is. */
const CHAPTER = 2_000;
const MAX_BLOCK = 80;

const nameOf = (names: Readonly<Record<string, number>>, value: number) =>
  Object.keys(names).find((name) => names[name] === value)!;

class Counters {
  blocks = 0;
  questions = 0;
  jobs = 0;
  readonly functions: Record<string, { succeeded: number; refused: number }> = {};
  readonly refusals: Record<string, number> = {};
  readonly phases: Record<string, number> = {};
  readonly outcomes: Record<string, number> = {};
  readonly purchases: Record<string, number> = {};
  readonly requests: Record<string, number> = {};

  call({ contract, name }: Call, error?: string): void {
    const entry = (this.functions[`${contract}.${name}`] ??= { succeeded: 0, refused: 0 });
    entry[error === undefined ? "succeeded" : "refused"]++;
    if (error !== undefined) add(this.refusals, error);
  }

  chapter({ trace, questions, world }: Duel): void {
    const { board, catalog, inference } = world;
    this.blocks += trace.length;
    this.questions += questions;
    this.jobs += board.posted.length;
    for (const id of board.posted) add(this.outcomes, nameOf(JobOutcome, board.state.get(id)!.state.outcome));
    for (const id of catalog.bought) add(this.purchases, nameOf(Purchase, catalog.orders.get(id).state));
    for (const id of inference.requested) add(this.requests, nameOf(Request, inference.orders.get(id).state));
  }
}

const add = (counts: Record<string, number>, name: string) => {
  counts[name] = (counts[name] ?? 0) + 1;
};

/**
 * Random calls of all contracts, each compared with the model: whether it is refused, with which error and values, and
 * every cell of storage that it changes.
 * @throws FuzzFailure with a trace that is as short as it could be made
 */
export async function runCampaign({ calls, seed, onProgress }: CampaignOptions): Promise<CampaignReport> {
  const evm = await startEvm();
  const counters = new Counters();
  try {
    const newWorld = await furnish(evm);
    for (let done = 0, chapter = 0; done < calls; chapter++) {
      const size = Math.min(CHAPTER, calls - done);
      const before = done;
      await playChapter({ evm, newWorld, seed: seed + chapter, size, counters }, (n) => onProgress?.(before + n));
      done += size;
    }
  } finally {
    await evm.close();
  }
  return { calls, ...counters };
}

interface Chapter {
  readonly evm: Evm;
  readonly newWorld: () => World;
  readonly seed: number;
  readonly size: number;
  readonly counters: Counters;
}

async function playChapter(chapter: Chapter, onProgress: (done: number) => void): Promise<void> {
  const { evm, newWorld, seed, size, counters } = chapter;
  const undo = await evm.snapshot();
  const duel = new Duel(evm, newWorld());
  try {
    await playRandomly(duel, chapter, onProgress);
    await duel.finish();
  } catch (reason) {
    await undo();
    throw new FuzzFailure(seed, size, await shrink(evm, newWorld, duel.trace, reason), reason);
  }
  counters.chapter(duel);
  await undo();
}

async function playRandomly(duel: Duel, { seed, size, counters }: Chapter, onProgress: (done: number) => void) {
  const { world } = duel;
  const first = opening(world);
  await duel.block(world.env.now + 1, () => first.next().value);
  const random = createRandom(seed);
  const agent = new Agent(random, world);
  for (let done = 0; done < size;) {
    let left = Math.min(size - done, 1 + random.below(MAX_BLOCK));
    done += left;
    const next = () => (left-- > 0 ? agent.next() : undefined);
    await duel.block(agent.nextTime(), next, (call, error) => {
      counters.call(call, error);
      agent.observe(call, error);
      const job = world.board.state.get(call.args[0] as never);
      if (call.contract === "jobBoard" && job !== undefined) add(counters.phases, nameOf(JobPhase, job.state.phase));
    });
    onProgress(done);
  }
}
