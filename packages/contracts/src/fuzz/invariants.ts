// I1 and I10 across jobs; what concerns one job is checked by the protocol package at every step of its machine.
import { assertFinal, assertStep, JobPhase } from "@skynet/protocol";
import type { Hex, JobState } from "@skynet/protocol";
import type { BoardJob } from "./board-state.ts";
import { BURN } from "./ledger-model.ts";
import type { World } from "./world.ts";

/** Money of the model that does not add up. The model agrees with the chain when this is looked at. */
export class InvariantViolation extends Error {
  constructor(invariant: string, detail: unknown) {
    super(`${invariant}: ${JSON.stringify(detail, (_, value) => (typeof value === "bigint" ? `${value}n` : value))}`);
    this.name = "InvariantViolation";
  }
}

function must(holds: boolean, invariant: string, detail: unknown): void {
  if (!holds) throw new InvariantViolation(invariant, detail);
}

const sum = (values: readonly bigint[]) => values.reduce((a, b) => a + b, 0n);

/** Watches the jobs of a world. */
export class Invariants {
  readonly #world: World;
  #steps = 0;

  constructor(world: World) {
    this.#world = world;
    world.board.state.onStep = (jobId, spec, step) => {
      // the exits by ticks cost more than all others together
      this.#steps++;
      assertStep(spec, step, this.#steps % 16 === 0);
      this.#watchModel(jobId, step.before, step.after!);
    };
  }

  readonly #lastModel = new Map<Hex, Hex>();
  readonly #open = new Set<Hex>();
  #seen = 0;
  readonly #closedBurned = new Map<Hex, bigint>();

  /** I9: the model of a job changes in MERGE only. */
  #watchModel(jobId: Hex, before: JobState, after: JobState): void {
    const { modelId } = this.#world.board.state.get(jobId)!;
    const old = this.#lastModel.get(jobId);
    this.#lastModel.set(jobId, modelId);
    must(old === undefined || old === modelId || after.merged > 0, "I9 model", { jobId, phase: before.phase });
  }

  /** I1, I6, I10 and I15, over all tokens, workers and jobs. */
  checkMoney(): void {
    const { tokens } = this.#world;
    for (const token of tokens) this.#checkToken(token);
  }

  #checkToken(token: Hex): void {
    const { ledger, registry, token: tokenModel, env } = this.#world;
    const accounts = ledger.balances.entries().filter(([[of]]) => of === token);
    const total = ledger.totals.get(token);
    must(sum(accounts.map(([, amount]) => amount)) === total, "I1 accounts", { token });
    must(total <= tokenModel.balances.get(token, env.addresses.ledger), "I1 tokens", { token });
    const jobs = this.#openJobs(token);
    for (const { id, state } of jobs)
      must(ledger.balances.get(token, env.escrow("jobBoard", id)) === state.escrow, "I1 escrow", { id });
    const locked = new Map<string, bigint>();
    for (const { state } of jobs)
      state.workers.forEach((worker, seat) => locked.set(worker, (locked.get(worker) ?? 0n) + state.stakes[seat]!));
    const stakes = registry.stakes.entries().filter(([[, of]]) => of === token);
    for (const [[worker], stake] of stakes)
      must(stake.locked === (locked.get(worker!) ?? 0n), "I10 locked", { worker });
    const exits = registry.exits.entries().filter(([[, of]]) => of === token);
    const inside = sum([...stakes.map(([, s]) => s.free + s.locked), ...exits.map(([, exit]) => exit.amount)]);
    must(ledger.balances.get(token, registry.account) === inside, "I10 stakes", { token, inside });
    const burned = sum(jobs.map(({ state }) => burnedBy(state))) + (this.#closedBurned.get(token) ?? 0n);
    must(ledger.balances.get(token, BURN) === burned, "I1 burned", { token, burned });
  }

  /** Jobs that still hold money or stakes. The others are checked a last time, and then only their sum is kept. */
  #openJobs(token: Hex): (BoardJob & { readonly id: Hex })[] {
    const { posted, state: board } = this.#world.board;
    for (; this.#seen < posted.length; this.#seen++) this.#open.add(posted[this.#seen]!);
    const jobs = [...this.#open].map((id) => ({ id, ...board.get(id)! })).filter(({ spec }) => spec.token === token);
    return jobs.filter(({ id, spec, state }) => {
      if (!isEmpty(state)) return true;
      assertFinal(spec, state);
      this.#open.delete(id);
      this.#closedBurned.set(token, (this.#closedBurned.get(token) ?? 0n) + burnedBy(state));
      const left = this.#world.ledger.balances.get(token, this.#world.env.escrow("jobBoard", id));
      must(left === 0n, "I6 dust", { id, left });
      return false;
    });
  }
}

const burnedBy = ({ burnedEscrow, burnedStake }: JobState) => burnedEscrow + burnedStake;

/** Everything that can be claimed has been. */
function isEmpty(state: JobState): boolean {
  const seats = state.workers.length;
  return (
    state.phase === JobPhase.SETTLED &&
    state.claimedTo.every((round) => round === state.round) &&
    (state.holdResult === 2 || state.holdClaimed === (1n << BigInt(seats)) - 1n) &&
    state.released === (1n << BigInt(seats)) - 1n
  );
}
