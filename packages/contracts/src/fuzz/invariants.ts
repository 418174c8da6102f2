// I1 and I10 across jobs; what concerns one job is checked by the protocol package at every step of its machine.
import { assertFinal, assertStep, JobPhase } from "@skynet/protocol";
import type { Hex, JobEvent, JobState } from "@skynet/protocol";
import type { BoardJob } from "./board-state.ts";
import { Purchase } from "./catalog-model.ts";
import { Request } from "./inference-model.ts";
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
      this.#watchModel(jobId, step.event.type);
    };
  }

  readonly #lastSteps = new Map<Hex, { readonly modelId: Hex; readonly type: JobEvent["type"] }>();
  readonly #open = new Set<Hex>();
  #seen = 0;
  readonly #closedBurned = new Map<Hex, bigint>();

  /** I9: the model of a job is another one after a merge, and only then. */
  #watchModel(jobId: Hex, type: JobEvent["type"]): void {
    // the merge itself is seen before it has changed the model
    const { modelId } = this.#world.board.state.get(jobId)!;
    const last = this.#lastSteps.get(jobId);
    this.#lastSteps.set(jobId, { modelId, type });
    must(last === undefined || last.modelId === modelId || last.type === "merge", "I9 model", { jobId, type });
  }

  /** I1, I6, I10 and I15, over all tokens, workers, jobs and orders. */
  checkMoney(): void {
    const { tokens } = this.#world;
    for (const token of tokens) this.#checkToken(token);
    this.#checkCatalog();
    this.#checkInference();
  }

  /** I1: an order has its price until it ends, a listing its bond and what orders have reserved of it. */
  #checkCatalog(): void {
    const { catalog, ledger, env } = this.#world;
    const reserved = new Map<Hex, bigint>();
    for (const [[id], { state, price, share, listingId }] of catalog.orders.entries()) {
      const open = state === Purchase.NEW || state === Purchase.DELIVERED;
      const { token } = catalog.listings.get(listingId);
      const held = ledger.balances.get(token, env.escrow("catalog", id as Hex));
      must(held === (open ? price : 0n) && (open || share === 0n), "I1 order", { id, state, held });
      reserved.set(listingId, (reserved.get(listingId) ?? 0n) + share);
    }
    for (const [[id], { token, bond }] of catalog.listings.entries()) {
      const held = ledger.balances.get(token, env.escrow("catalog", id as Hex));
      must(held === bond + (reserved.get(id as Hex) ?? 0n), "I1 bond", { id, bond, held });
    }
  }

  #checkInference(): void {
    const { inference, ledger, env } = this.#world;
    for (const [[id], { state, price, offerId }] of inference.orders.entries()) {
      const { token } = inference.offers.get(offerId);
      const held = ledger.balances.get(token, env.escrow("inferenceBoard", id as Hex));
      must(held === (state === Request.OPEN ? price : 0n), "I1 request", { id, state, held });
    }
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
