import { countSeats, hasSeat, type Hex, SkyNetError } from "@skynet/protocol";
import { Audits } from "./audits.ts";
import { batchesOfJob, batchesOfRound, distinct } from "./dataset-plan.ts";
import { SwarmError } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import { JobEnd } from "./job-end.ts";
import { JobPeer, type PeerModules } from "./job-peer.ts";
import {
  checkAllBatches,
  commitmentOf,
  prefetchBatches,
  type BatchSource,
  type LocalResult,
} from "./local-training.ts";
import { Merging } from "./merging.ts";
import { OwnResults } from "./own-results.ts";
import type { JobSnapshot, ModelShape } from "./ports.ts";
import { Announcements, type RoundTools } from "./round-tools.ts";
import { rehearse } from "./rehearsal.ts";
import { SignatureBoard } from "./signature-board.ts";
import { TaskSet } from "./tasks.ts";
import { collectSignatures, keyRefOf } from "./signature-intake.ts";
import { TrainerUse } from "./trainer-use.ts";
import { rankOf, Turns } from "./turns.ts";

export interface WorkerModules extends PeerModules {
  /**
   * Fetches and opens the secrets and the dataset; called once the keys are published, and again after a rotation.
   * @param needed batches of this worker's rounds
   * @throws SwarmError `BadKeys` when the secret of one is not among those for this worker
   */
  openJob(keys: { epoch: number; cid: string }, needed: readonly number[]): Promise<BatchSource>;
  /** 32 bytes that only this node knows, always the same: blinders follow from them. */
  readonly blindingSecret: Uint8Array;
}

export interface WorkerOptions {
  readonly shape: ModelShape;
  readonly initialSeed: Uint8Array;
  readonly onProgress?: (event: WorkerProgress) => void;
}

export type WorkerProgress =
  | { readonly type: "training"; readonly round: number; readonly step: number; readonly steps: number }
  | { readonly type: "phase"; readonly round: number; readonly phase: string }
  /** Before anything is at stake: this worker is not ready, because it could not prove its work. */
  | { readonly type: "unfit"; readonly code: string; readonly reason: string }
  | { readonly type: "abstained"; readonly round: number; readonly code: string; readonly reason: string };

export interface WorkerResult {
  readonly outcome: string;
  readonly seat: number;
  readonly modelId: Hex;
}

/** Failures that trying again does not mend: the round cannot be worked on, or could not be proven. */
const HOPELESS = ["Overflow", "BadBatch", "CannotDecrypt", "OutOfMemory", "WorkerFailed", "DuplicateId"];
/** Failures of the rehearsal that leave the worker out of the job; those of a training thread are most often memory. */
const UNFIT = [...HOPELESS, "TooSlow", "TrainerFailed", "ProofRejected", "BadMetadata"];
/** Part of the commit window after which a worker that is not done abstains instead of risking the penalty. */
const ABSTAIN_SHARE = 0.9;
const POLL_MS = 300;
const CHAIN_FAILURE_LOG_MS = 10_000;

/**
 * Takes part in one job from the assignment to the last claim. Stateless towards the chain: whatever the contract says
 * next decides what is due, so a restarted worker goes on where the job is now.
 */
export async function runWorkerJob(modules: WorkerModules, options: WorkerOptions): Promise<WorkerResult> {
  return new WorkerJob(modules, options).run();
}

class WorkerJob {
  readonly #m: WorkerModules;
  readonly #options: WorkerOptions;
  readonly #peer: JobPeer;
  readonly #board = new SignatureBoard();
  readonly #tasks: TaskSet;
  readonly #turns = new Turns();
  readonly #announcements: Announcements;
  readonly #exchange: Exchange;
  readonly #merging: Merging;
  readonly #own: OwnResults;
  readonly #end: JobEnd;
  /** The seed decides which batches this worker needs. */
  #batches: { epoch: number; jobSeed: Hex; source: BatchSource } | undefined;
  #lastPhase = "";
  readonly #trainerUse = new TrainerUse();
  readonly #audits: Audits;
  /** Why the steps of the round are not done yet. */
  #trouble = "";
  #abstained = -1;

  constructor(modules: WorkerModules, options: WorkerOptions) {
    this.#m = modules;
    this.#options = options;
    this.#peer = new JobPeer(modules);
    this.#peer.shape = options.shape;
    this.#tasks = new TaskSet(modules.clock, modules.log);
    this.#audits = new Audits(modules, { tasks: this.#tasks, turns: this.#turns, trainerUse: this.#trainerUse });
    this.#announcements = new Announcements(modules.clock, modules.log);
    this.#own = new OwnResults(modules, this.#peer, (round, step, steps) =>
      options.onProgress?.({ type: "training", round, step, steps }),
    );
    this.#end = new JobEnd(this.#peer, { tasks: this.#tasks, announcements: this.#announcements });
    const tools: RoundTools = {
      tasks: this.#tasks,
      turns: this.#turns,
      board: this.#board,
      announcements: this.#announcements,
      ensureBase: (snapshot) => this.#ensureInitialWeights(snapshot),
      own: (snapshot) => this.#requireOwn(snapshot),
      stats: () => this.#own.stats,
    };
    this.#exchange = new Exchange(this.#peer, tools);
    this.#merging = new Merging(this.#peer, tools);
    collectSignatures(this.#peer, this.#board);
  }

  async run(): Promise<WorkerResult> {
    try {
      return await this.#takePart();
    } finally {
      this.#announcements.stop();
    }
  }

  async #takePart(): Promise<WorkerResult> {
    let failureLoggedMs = 0;
    while (true) {
      this.#m.signal.throwIfAborted();
      try {
        const snapshot = await this.#peer.refresh();
        const seat = this.#peer.seatOf(this.#m.chain.self);
        if (seat < 0) throw new SwarmError("NotAssigned", "this worker has no seat in the job");
        this.#react(snapshot, seat);
        if (snapshot.phase === "SETTLED" && this.#end.isDone(snapshot, seat)) {
          await this.#tasks.settled();
          return { outcome: snapshot.outcome, seat, modelId: snapshot.modelId };
        }
      } catch (error) {
        if (this.#m.signal.aborted || (error instanceof SwarmError && error.code === "NotAssigned")) throw error;
        if (this.#m.clock.nowMs() - failureLoggedMs > CHAIN_FAILURE_LOG_MS) {
          failureLoggedMs = this.#m.clock.nowMs();
          this.#m.log.warn({ error: String(error) }, "the job cannot be read from the chain; trying on");
        }
      }
      await this.#m.clock.sleep(POLL_MS, this.#m.signal);
    }
  }

  #react(snapshot: JobSnapshot, seat: number): void {
    if (snapshot.phase !== this.#lastPhase) {
      this.#lastPhase = snapshot.phase;
      this.#options.onProgress?.({ type: "phase", round: snapshot.round, phase: snapshot.phase });
    }
    this.#announcements.follow(snapshot);
    this.#trainerUse.stopOld(snapshot);
    const active = hasSeat(snapshot.active, seat);
    if (snapshot.keys && active) this.#openKeys(snapshot, snapshot.keys);
    if (active && snapshot.phase === "READY") this.#becomeReady(snapshot, seat);
    if (active && snapshot.phase === "COMMIT") this.#train(snapshot, seat);
    this.#audits.stopOld(snapshot);
    this.#exchange.stopOld(snapshot);
    if (active && snapshot.phase === "DRAW") this.#audits.draw(snapshot, seat);
    if (active && snapshot.phase === "PROVE" && hasSeat(snapshot.selected, seat)) this.#prove(snapshot, seat);
    // Updates travel while the draw is awaited: commitments are on chain by then.
    if (active && ["DRAW", "PROVE"].includes(snapshot.phase) && hasSeat(snapshot.committed, seat))
      this.#exchange.run(snapshot, seat);
    if (active && snapshot.phase === "MERGE") this.#merging.run(snapshot, seat);
    if (active && (snapshot.phase === "DELIVER" || snapshot.phase === "SETTLED")) this.#end.deliver(snapshot);
    if (snapshot.phase === "SETTLED") this.#end.settle(snapshot, seat);
    else if (!active && snapshot.phase !== "OPEN" && snapshot.phase !== "READY" && !hasSeat(snapshot.released, seat))
      this.#end.release(seat);
    this.#tickWhenLate(snapshot, seat);
  }

  #openKeys(snapshot: JobSnapshot, keys: { epoch: number; cid: string }): void {
    const { jobSeed } = snapshot;
    const opened = this.#batches;
    if (opened?.epoch === keys.epoch && opened.jobSeed === jobSeed) return;
    this.#tasks.once(`keys/${keys.epoch}/${jobSeed}`, async () => {
      const source = await this.#m.openJob(keys, batchesOfJob(snapshot, this.#m.chain.self));
      this.#batches = { epoch: keys.epoch, jobSeed, source };
    });
  }

  #becomeReady(snapshot: JobSnapshot, seat: number): void {
    const batches = this.#batches?.source;
    if (batches === undefined || snapshot.keys === undefined) return;
    const keyRef = keyRefOf(snapshot.keys.cid);
    this.#tasks.once(`prepare/${keyRef}`, async () => {
      await this.#ensureInitialWeights(snapshot);
      if (snapshot.verification === "proof") {
        if (!(await this.#isFit(snapshot, seat, batches))) return;
      } else {
        const wanted = distinct(batchesOfRound(snapshot, this.#m.chain.self, 0));
        await prefetchBatches(batches, wanted, this.#m.signal);
      }
      const signature = await this.#m.chain.signReady(keyRef);
      this.#board.add("ready", seat, { statement: keyRef, signature, received: 0n });
    });
    const own = this.#board.collected("ready", keyRef, snapshot.active);
    if (!own.seats.includes(seat)) return;
    const signature = own.signatures[own.seats.indexOf(seat)]!;
    this.#announcements.once(`ready/${keyRef}`, this.#peer.others(), (to, signal) =>
      this.#peer.tell(to, "ready", { signature }, signal),
    );
    const missing = own.seats.filter((signed) => !hasSeat(snapshot.ready, signed));
    const complete = missing.length + countSeats(snapshot.ready) === countSeats(snapshot.active);
    const rank = rankOf(snapshot, seat) + (complete ? 0 : countSeats(snapshot.active));
    if (missing.length === 0 || !this.#turns.isMine(`ready/${complete}/${missing.length}`, rank, snapshot.nowMs))
      return;
    const signatures = missing.map((signed) => own.signatures[own.seats.indexOf(signed)]!);
    this.#tasks.once(`ready/${missing.join()}`, () => this.#m.chain.ready(keyRef, missing, signatures));
  }

  /** Whether this worker has all that its steps need, and can prove them in time. */
  async #isFit(snapshot: JobSnapshot, seat: number, batches: BatchSource): Promise<boolean> {
    if (hasSeat(snapshot.ready, seat)) return true;
    try {
      await checkAllBatches(this.#m, snapshot, batches);
      const start = this.#own.startOf(snapshot);
      await this.#trainerUse.run(snapshot, this.#m.signal, (signal) =>
        rehearse(this.#m, start, snapshot, batches, signal),
      );
      return true;
    } catch (error) {
      if (!(error instanceof SkyNetError) || !UNFIT.includes(error.code)) throw error;
      const { code, message } = error;
      this.#m.log.warn({ code, reason: message }, "not ready: this worker could not prove its work");
      this.#options.onProgress?.({ type: "unfit", code, reason: message });
      return false;
    }
  }

  async #ensureInitialWeights(snapshot: JobSnapshot): Promise<void> {
    if (this.#peer.base?.modelId === snapshot.modelId) return;
    if (snapshot.round === 0) {
      const initial = await this.#m.trainer.initialWeights(this.#options.initialSeed);
      try {
        return await this.#peer.adoptInitial(initial);
      } catch (error) {
        if (snapshot.phase === "READY" || !(error instanceof SwarmError && error.code === "WrongModel")) throw error;
      }
    }
    if (!(await this.#peer.syncBase())) throw new SwarmError("NoState", "no member has answered with the weights yet");
  }

  #train(snapshot: JobSnapshot, seat: number): void {
    const { round } = snapshot;
    this.#board.keepOnly([`attest/${round}`, `merge/${round}`]);
    if (hasSeat(snapshot.committed, seat) || this.#abstained === round) return;
    const share = (snapshot.nowMs - snapshot.phaseAtMs) / (snapshot.phaseEndMs - snapshot.phaseAtMs);
    if (share > ABSTAIN_SHARE)
      return this.#abstain(round, "TooSlow", `the round's batches or steps are not done in time${this.#trouble}`);
    if (this.#batches === undefined || this.#trainerUse.busy) return;
    const batches = this.#batches.source;
    this.#tasks.once(`train/${round}`, async () => {
      this.#trouble = "";
      await this.#ensureInitialWeights(snapshot);
      try {
        const result = await this.#trainerUse.run(snapshot, this.#m.signal, async (signal) => {
          const made = (await this.#own.stored(snapshot)) ?? (await this.#own.train(snapshot, batches, signal));
          signal.throwIfAborted();
          return made;
        });
        await this.#commit(round, seat, result);
      } catch (error) {
        if (!(error instanceof SkyNetError)) throw error;
        this.#trouble = `: ${error.message}`;
        if (!HOPELESS.includes(error.code)) throw error;
        this.#abstain(round, error.code, error.message);
      }
    });
  }

  /** The contract takes an id once in a round, so a copied result leaves its maker nothing to commit. */
  async #commit(round: number, seat: number, result: LocalResult): Promise<void> {
    const { idEnd, stepsRoot } = commitmentOf(result);
    try {
      await this.#m.chain.commit(round, seat, idEnd, stepsRoot);
    } catch (error) {
      if (!(error instanceof SkyNetError && error.code === "DuplicateId")) throw error;
      // It may be the own one, whose receipt was lost.
      const now = await this.#m.chain.snapshot(this.#m.signal);
      if (now.round === round && now.commits.get(seat)?.idEnd === idEnd) return;
      throw new SwarmError("DuplicateId", "somebody else has committed the same id first in this round");
    }
  }

  /** No pay and no penalty for this round: it could not be worked on honestly, or not be proven. */
  #abstain(round: number, code: string, reason: string): void {
    this.#trainerUse.stop(reason);
    this.#tasks.once(`abstain/${round}`, async () => {
      this.#m.log.warn({ round, code, reason }, "abstaining");
      this.#options.onProgress?.({ type: "abstained", round, code, reason });
      await this.#m.chain.abstain(round);
      this.#abstained = round;
    });
  }

  #prove(snapshot: JobSnapshot, seat: number): void {
    const batches = this.#batches?.source;
    if (batches === undefined) return;
    this.#audits.answer(snapshot, seat, async (signal) => {
      await this.#ensureInitialWeights(snapshot);
      const result = (await this.#own.committed(snapshot)) ?? (await this.#own.repeat(snapshot, batches, signal));
      return { base: this.#own.startOf(snapshot), result, batches };
    });
  }

  async #requireOwn(snapshot: JobSnapshot): Promise<LocalResult> {
    const stored = await this.#own.committed(snapshot);
    if (stored) return stored;
    return this.#trainerUse.run(snapshot, this.#m.signal, (signal) =>
      this.#own.repeat(snapshot, this.#batches?.source, signal),
    );
  }

  #tickWhenLate(snapshot: JobSnapshot, seat: number): void {
    if (snapshot.phase === "SETTLED" || snapshot.nowMs < snapshot.phaseEndMs) return;
    const name = `tick/${snapshot.phase}/${snapshot.phaseAtMs}`;
    // The requester ticks first; the workers only when it does not.
    if (this.#turns.isMine(name, 1 + rankOf(snapshot, seat), snapshot.nowMs))
      this.#tasks.once(name, () => this.#m.chain.tick());
  }
}
