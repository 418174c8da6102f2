import { countSeats, decode, encode, hasSeat, type Hex, listSeats, toHex } from "@skynet/protocol";
import { z } from "zod";
import { JobPeer, type PeerModules, type RoundBase } from "./job-peer.ts";
import { batchesOfJob } from "./dataset-plan.ts";
import { publishSecrets, type JobSecrets, type KeyRecipient } from "./keys.ts";
import type { RoundStats } from "./messages.ts";
import type { Address, Evaluation, JobSnapshot, ModelShape, Weights } from "./ports.ts";
import { TaskSet } from "./tasks.ts";
import { Turns } from "./turns.ts";

export interface RequesterModules extends PeerModules {
  /** Random secrets for a new epoch; the dataset's stays the same for the whole job. */
  newSecrets(epoch: number): JobSecrets;
  /** Makes the node use these secrets for the channel, and keeps them for a restart. */
  useSecrets(secrets: JobSecrets, holders: KeyHolders): Promise<void>;
  /** Accuracy and loss on the test set. */
  evaluate(weights: Weights): Promise<Evaluation>;
  /** Keeps the weights after a merged round, 1 for the first; called again with the last ones at the end. Never fails. */
  keepCheckpoint(round: number, base: RoundBase): Promise<void>;
}

/** Whom the secrets of an epoch were given, and the seed that decided which batches each may open. */
export interface KeyHolders {
  readonly members: readonly Address[];
  readonly jobSeed: Hex;
}

export interface RequesterOptions {
  readonly shape: ModelShape;
  readonly initialWeights: Weights;
  /** Secrets of the newest epoch when the requester was restarted. */
  readonly resumed?: { readonly secrets: JobSecrets; readonly holders: KeyHolders } | undefined;
  readonly onProgress?: (event: RequesterProgress) => void;
}

const reportSchema = z.strictObject({
  /** 1 for the first round. */
  round: z.number().int(),
  merged: z.boolean(),
  /** On the test set: share of correct answers, mean cross-entropy in nats; absent when it could not be measured. */
  accuracy: z.number().optional(),
  loss: z.number().optional(),
  seconds: z.number(),
  /** Bytes that all members sent in this round, as they say. */
  sentBytes: z.number(),
  /** Workers that are paid for their steps, and those whose update was merged. */
  committed: z.number().int(),
  included: z.number().int(),
  /** Proof mode: steps that each worker proved on chain in this round, and the gas of its transactions. */
  proofs: z.array(z.strictObject({ worker: z.string(), steps: z.number().int(), gas: z.number() })),
  /** Mean training loss over the workers' local steps, as they say. */
  trainLoss: z.number(),
});
const reportsSchema = z.array(reportSchema).max(1024);

export type RoundReport = Readonly<z.output<typeof reportSchema>>;

export type RequesterProgress =
  | { readonly type: "phase"; readonly snapshot: JobSnapshot }
  | { readonly type: "round"; readonly report: RoundReport }
  /** The model of a round could not be evaluated; the job goes on. */
  | { readonly type: "unmeasured"; readonly reason: string };

export interface RequesterResult {
  readonly outcome: string;
  readonly modelId: Hex;
  /** Final weights; none when no round was merged or no member gave them. */
  readonly weights: Weights | undefined;
  readonly rounds: readonly RoundReport[];
  /** Whether every active worker said that it finished with exactly the contract's weights. */
  readonly statesIdentical: boolean;
  /** Of the contract's weights on the test set, if they are here. */
  readonly accuracy: number | undefined;
  /** Workers that were assigned. */
  readonly workers: number;
}

const POLL_MS = 300;
/** Phases in which the contract takes new keys: a seat can be lost in each of them. */
const KEY_PHASES: ReadonlySet<string> = new Set(["READY", "COMMIT", "DRAW", "PROVE", "MERGE"]);
const FINAL_WAIT_MS = 8000;
const CLAIM_WAIT_MS = 10_000;
const STATE_PATIENCE_MS = 20_000;
const ROUNDS_FILE = "rounds.cbor";

/**
 * Leads a posted job to its end: hands out the keys, receives every update, follows the average, measures it, accepts
 * the result and sees that every unit of the budget is accounted for. It has no vote and decides about no money.
 */
export async function runRequesterJob(modules: RequesterModules, options: RequesterOptions): Promise<RequesterResult> {
  return new RequesterJob(modules, options).run();
}

class RequesterJob {
  readonly #m: RequesterModules;
  readonly #options: RequesterOptions;
  readonly #peer: JobPeer;
  readonly #tasks: TaskSet;
  readonly #turns = new Turns();
  readonly #finals = new Map<Address, Hex>();
  readonly #stats = new Map<string, RoundStats>();
  readonly #reports: RoundReport[] = [];
  #secrets: JobSecrets | undefined;
  #holders: KeyHolders | undefined;
  /** The keys that were sent last, and what they are for. */
  #sentKeys: { readonly purpose: string; readonly cid: string } | undefined;
  #roundStartedMs: number;
  #previous: JobSnapshot | undefined;
  #reportedRound = 0;

  constructor(modules: RequesterModules, options: RequesterOptions) {
    this.#m = modules;
    this.#options = options;
    this.#peer = new JobPeer(modules);
    this.#peer.shape = options.shape;
    this.#tasks = new TaskSet(modules.clock, modules.log);
    this.#secrets = options.resumed?.secrets;
    this.#holders = options.resumed?.holders;
    this.#roundStartedMs = modules.clock.nowMs();
    this.#peer.on("final", (from, { modelId }) => {
      if (this.#peer.seatOf(from) >= 0) this.#finals.set(from, toHex(modelId));
    });
    this.#peer.on("attest", (from, { round, stats }) => {
      if (this.#peer.seatOf(from) >= 0) this.#stats.set(`${round}/${from}`, stats);
    });
  }

  async run(): Promise<RequesterResult> {
    await this.#loadReports();
    while (true) {
      this.#m.signal.throwIfAborted();
      const result = await this.#turn().catch((error: unknown) => {
        if (this.#m.signal.aborted) throw error;
        this.#m.log.warn({ error: String(error) }, "will be tried again");
        return undefined;
      });
      if (result) return result;
      await this.#m.clock.sleep(POLL_MS, this.#m.signal);
    }
  }

  /** Reports from before a restart; they are only for people, so damaged ones are left out. */
  async #loadReports(): Promise<void> {
    const stored = await this.#m.files.read(ROUNDS_FILE);
    if (stored === undefined) return;
    const parsed = reportsSchema.safeParse(decode(stored));
    if (!parsed.success) return this.#m.log.warn({ file: ROUNDS_FILE }, "damaged; the report begins anew");
    this.#reports.push(...parsed.data);
    this.#reportedRound = this.#reports.at(-1)?.round ?? 0;
  }

  async #turn(): Promise<RequesterResult | undefined> {
    const snapshot = await this.#peer.refresh();
    const previous = this.#previous;
    if (previous === undefined || progressOf(snapshot) !== progressOf(previous))
      this.#options.onProgress?.({ type: "phase", snapshot });
    if (snapshot.phase === "COMMIT" && previous?.phase === "READY") this.#roundStartedMs = this.#m.clock.nowMs();
    this.#previous = snapshot;
    // What is due on chain must not wait for weights that somebody may withhold.
    this.#react(snapshot);
    if ((await this.#keepWeights(snapshot)) && snapshot.round > this.#reportedRound) await this.#report(snapshot);
    return snapshot.phase === "SETTLED" ? this.#settled(snapshot) : undefined;
  }

  #react(snapshot: JobSnapshot): void {
    if (KEY_PHASES.has(snapshot.phase)) this.#rotateKeys(snapshot);
    if (snapshot.phase === "MERGE") {
      const { included } = snapshot;
      this.#tasks.once(`next/${snapshot.round}`, async () => {
        await this.#peer.computeNext(included);
      });
    }
    if (snapshot.phase === "DELIVER") this.#acceptOrComplain(snapshot);
    const name = `tick/${snapshot.phase}/${snapshot.phaseAtMs}`;
    if (snapshot.phase !== "SETTLED" && snapshot.nowMs >= snapshot.phaseEndMs)
      this.#tasks.once(name, () => this.#m.chain.tick());
  }

  /**
   * A new group key whenever the set of members changes: who left cannot read on. Also when a reorganisation of the
   * chain has changed the seed, and so the batches of each.
   */
  #rotateKeys(snapshot: JobSnapshot): void {
    const members = listSeats(snapshot.active).map((seat) => snapshot.workers[seat]!);
    const published = snapshot.keys?.epoch;
    if (members.length === 0) return;
    const { jobSeed } = snapshot;
    const sameHolders = this.#holders?.jobSeed === jobSeed && members.join() === this.#holders.members.join();
    // After a restart the CID is not known; else another one means that an earlier try reached the chain after all.
    const isOwn = this.#sentKeys === undefined || snapshot.keys?.cid === this.#sentKeys.cid;
    if (published !== undefined && published === this.#secrets?.epoch && sameHolders && isOwn) return;
    const epoch = published === undefined ? 0 : published + 1;
    this.#tasks.once(`keys/${epoch}/${jobSeed}`, async () => {
      const { chain, blocks, clock, signal } = this.#m;
      // A try that failed may still reach the chain: the next one sends the same keys.
      const purpose = [epoch, jobSeed, ...members].join();
      if (this.#sentKeys?.purpose === purpose) return chain.publishKeys(epoch, this.#sentKeys.cid);
      const secrets = this.#m.newSecrets(epoch);
      const recipients: KeyRecipient[] = [];
      for (const address of members) {
        recipients.push({
          address,
          publicKey: await chain.publicKeyOf(address),
          batches: batchesOfJob(snapshot, address),
        });
        // Many workers with many steps take seconds: others get their turn in between.
        await clock.sleep(0, signal);
      }
      const cid = await publishSecrets(chain.jobId, secrets, recipients, (block) => blocks.put(block));
      const holders = { members, jobSeed };
      await this.#m.useSecrets(secrets, holders);
      // Known before the chain shows the epoch, or the next look at the chain would take it for a stranger's.
      this.#secrets = secrets;
      this.#holders = holders;
      this.#sentKeys = { purpose, cid };
      await chain.publishKeys(epoch, cid);
    });
  }

  /** Follows the contract's weights; a requester that cannot get them for long stops the job at the end of the round. */
  async #keepWeights(snapshot: JobSnapshot): Promise<boolean> {
    if (this.#peer.base?.modelId === snapshot.modelId) return true;
    const { initialWeights } = this.#options;
    if (snapshot.merged === 0) {
      await this.#peer.adoptInitial(initialWeights);
      return true;
    }
    if (this.#secrets !== undefined && (await this.#peer.syncBase())) return true;
    const rank = STATE_PATIENCE_MS / 2500;
    if (
      ["COMMIT", "DRAW", "PROVE", "MERGE"].includes(snapshot.phase) &&
      this.#turns.isMine(`stop/${snapshot.modelId}`, rank, this.#m.clock.nowMs())
    )
      this.#tasks.once(`stop/${snapshot.modelId}`, () => this.#m.chain.stop());
    return false;
  }

  /** Figures of the newest round; a restart can skip older ones. */
  async #report(snapshot: JobSnapshot): Promise<void> {
    const { round, workers, paidCompute, paidDelivery } = snapshot;
    const base = this.#peer.requireBase();
    const isMerged = (paidDelivery[round - 1] ?? 0n) > 0n;
    // First: what may fail after it does not cost the model.
    if (isMerged) await this.#m.keepCheckpoint(round, base);
    const evaluation = await this.#evaluate(base.weights);
    const stats = workers.flatMap((worker) => this.#stats.get(`${round - 1}/${worker}`) ?? []);
    const earlier = workers.map((worker) => this.#stats.get(`${round - 2}/${worker}`)?.sentBytes ?? 0);
    const sent =
      stats.reduce((sum, { sentBytes }) => sum + sentBytes, 0) - earlier.reduce((sum, bytes) => sum + bytes, 0);
    const nowMs = this.#m.clock.nowMs();
    const report: RoundReport = {
      round,
      // Without a merge nobody is paid for delivering.
      merged: isMerged,
      ...evaluation,
      seconds: (nowMs - this.#roundStartedMs) / 1000,
      sentBytes: Math.max(sent, 0),
      committed: countSeats(paidCompute[round - 1] ?? 0n),
      included: countSeats(paidDelivery[round - 1] ?? 0n),
      proofs: snapshot.verification === "proof" ? await this.#m.chain.proofsOf(round - 1) : [],
      trainLoss: stats.reduce((sum, { trainLoss }) => sum + trainLoss, 0) / Math.max(stats.length, 1),
    };
    this.#roundStartedMs = nowMs;
    this.#reportedRound = round;
    this.#reports.push(report);
    await this.#m.files.write(ROUNDS_FILE, encode(this.#reports));
    this.#options.onProgress?.({ type: "round", report });
  }

  /** Undefined when it fails: a job ends without its figures too, as when its test data are gone. */
  async #evaluate(weights: Weights): Promise<Evaluation | undefined> {
    try {
      return await this.#m.evaluate(weights);
    } catch (error) {
      this.#m.signal.throwIfAborted();
      this.#m.log.warn({ error: String(error) }, "the model could not be evaluated on the test data");
      this.#options.onProgress?.({ type: "unmeasured", reason: (error as Error).message });
      return undefined;
    }
  }

  /** A requester that has just started asks the workers first: a complaint burns their pay. */
  #acceptOrComplain(snapshot: JobSnapshot): void {
    const asked = this.#turns.isMine("complain", STATE_PATIENCE_MS / 2500, this.#m.clock.nowMs());
    if (this.#peer.base?.modelId === snapshot.modelId) this.#tasks.once("accept", () => this.#m.chain.accept());
    else if (asked && snapshot.nowMs > (snapshot.phaseAtMs + snapshot.phaseEndMs) / 2)
      this.#tasks.once("complain", () => this.#m.chain.complain());
  }

  /** Waits a moment for the workers' last word and their claims, then claims for those that are gone. */
  async #settled(snapshot: JobSnapshot): Promise<RequesterResult | undefined> {
    const nowMs = this.#m.clock.nowMs();
    const active = listSeats(snapshot.active).map((seat) => snapshot.workers[seat]!);
    const heard = active.every((worker) => this.#finals.has(worker));
    const open = snapshot.workers.map((_, seat) => seat).filter((seat) => !isClaimed(snapshot, seat));
    if (snapshot.round > 0 && !heard && !this.#turns.isMine("final", FINAL_WAIT_MS / 2500, nowMs)) return undefined;
    if (open.length > 0) {
      if (this.#turns.isMine("claims", CLAIM_WAIT_MS / 2500, nowMs))
        for (const seat of open) this.#claimFor(snapshot, seat);
      return undefined;
    }
    const base = this.#peer.base?.modelId === snapshot.modelId ? this.#peer.base : undefined;
    const weights = base?.weights;
    // A requester that was started again has not seen every round.
    const lastMerged = snapshot.paidDelivery.findLastIndex((paid) => paid > 0n) + 1;
    if (base && lastMerged > 0) await this.#m.keepCheckpoint(lastMerged, base);
    const said = active.map((worker) => this.#finals.get(worker));
    return {
      outcome: snapshot.outcome,
      modelId: snapshot.modelId,
      weights: snapshot.merged > 0 ? weights : undefined,
      rounds: this.#reports,
      statesIdentical: weights !== undefined && said.length > 0 && said.every((id) => id === snapshot.modelId),
      accuracy: weights && (await this.#evaluate(weights))?.accuracy,
      workers: snapshot.workers.length,
    };
  }

  #claimFor(snapshot: JobSnapshot, seat: number): void {
    if ((snapshot.claimedTo[seat] ?? 0) < snapshot.round)
      this.#tasks.once(`claim/${seat}`, () => this.#m.chain.claim(seat, snapshot.round));
    else if (snapshot.holdReleased && !hasSeat(snapshot.holdClaimed, seat))
      this.#tasks.once(`claim-hold/${seat}`, () => this.#m.chain.claimHold(seat));
    else if (!hasSeat(snapshot.released, seat)) this.#tasks.once(`release/${seat}`, () => this.#m.chain.release(seat));
  }
}

/** Changes whenever there is something new to show. */
function progressOf({ phase, round, workers, ready, committed, attested, proven }: JobSnapshot): string {
  return [phase, round, workers.length, ready, committed, attested, proven].join();
}

function isClaimed(snapshot: JobSnapshot, seat: number): boolean {
  const hold = !snapshot.holdReleased || hasSeat(snapshot.holdClaimed, seat);
  return (snapshot.claimedTo[seat] ?? 0) >= snapshot.round && hold && hasSeat(snapshot.released, seat);
}
