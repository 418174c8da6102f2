import { JobPhase, listSeats, phaseEnd } from "@skynet/protocol";
import type { Hex, JobSpec, Random } from "@skynet/protocol";
import type { BoardJob } from "./board-state.ts";
import { JobMoves } from "./job-moves.ts";
import { MarketMoves } from "./market-moves.ts";
import { RelayMoves } from "./relay-moves.ts";
import { MoneyMoves } from "./money-moves.ts";
import { messageDigest } from "./signing.ts";
import type { MessageKind } from "./signing.ts";
import { domainSeparator } from "./signing.ts";
import { puppetSignature } from "./words.ts";
import type { Word } from "./words.ts";
import { everybody, people } from "./world.ts";
import type { Call, Party, World } from "./world.ts";

/** How the parties of a job behave. */
export interface Mood {
  /** Probability of doing the expected thing. */
  readonly diligence: number;
  /** A seat that never commits; -1 for none. */
  readonly lazySeat: number;
  /** A seat that never proves; -1 for none. */
  readonly mutedSeat: number;
}

export interface LiveJob extends BoardJob {
  readonly jobId: Hex;
  readonly mood: Mood;
}

const MAX_LIVE = 4;
const KEPT = 12;
const REPLAYS = 200;

/** Chooses calls that mostly make sense, so that every state is reached, and often enough do not. */
export class Agent {
  readonly random: Random;
  readonly world: World;
  readonly #jobs: JobMoves;
  readonly #money: MoneyMoves;
  readonly #market: MarketMoves;
  readonly #relays: RelayMoves;
  readonly #moods = new Map<Hex, Mood>();
  #known = 0;
  #live: Hex[] = [];
  #settled: Hex[] = [];
  readonly #sent: Call[] = [];
  /** Phases of jobs that were found to lead nowhere. */
  readonly #hopeless = new Map<Hex, string>();

  constructor(random: Random, world: World) {
    this.random = random;
    this.world = world;
    this.#jobs = new JobMoves(this);
    this.#money = new MoneyMoves(this);
    this.#market = new MarketMoves(this);
    this.#relays = new RelayMoves(this);
  }

  get now(): number {
    return this.world.env.now;
  }

  anybody(): Hex {
    return this.random.pick(everybody).address;
  }

  /** `right` most of the time. */
  mostly<Value>(right: Value, wrong: () => Value, probability = 0.96): Value {
    return this.random.chance(probability) ? right : wrong();
  }

  otherThan(list: readonly Party[], party: Hex): Hex {
    return this.random.pick(list.filter(({ address }) => address !== party)).address;
  }

  /** A signature that is right most of the time; otherwise for another signer, job, value, contract or chain. */
  sign(signer: Hex, kind: MessageKind, ...values: readonly Word[]): Hex {
    const { random, world } = this;
    const right = { signer, domain: world.board.state.domain, values };
    if (random.chance(0.96)) return signatureOf(kind, right);
    const { addresses, chainId } = world.env;
    const later = values.map((value, i) => (i === 1 && typeof value === "number" ? value + 1 : value));
    return random.pick([
      () => signatureOf(kind, { ...right, signer: this.otherThan(everybody, signer) }),
      () => signatureOf(kind, { ...right, values: [this.anyJob() ?? signer, ...values.slice(1)] }),
      () => signatureOf(kind, { ...right, values: later }),
      () => signatureOf(kind, { ...right, domain: domainSeparator(chainId, addresses.workerRegistry) }),
      () => signatureOf(kind, { ...right, domain: domainSeparator(chainId + 1, addresses.jobBoard) }),
      (): Hex => "0x",
      (): Hex => `0x${"1".repeat(128)}1b`,
    ])();
  }

  anyJob(): Hex | undefined {
    const all = [...this.#live, ...this.#settled];
    return all.length === 0 ? undefined : this.random.pick(all);
  }

  job(jobId: Hex): LiveJob {
    return { ...this.world.board.state.get(jobId)!, jobId, mood: this.#moods.get(jobId)! };
  }

  liveJobs(): LiveJob[] {
    this.#refresh();
    return this.#live.map((id) => this.job(id));
  }

  #refresh(): void {
    const { posted, state } = this.world.board;
    for (; this.#known < posted.length; this.#known++) {
      const id = posted[this.#known]!;
      this.#live.push(id);
      this.#moods.set(id, this.#mood(state.get(id)!.spec));
    }
    const ended = this.#live.filter((id) => state.get(id)!.state.phase === JobPhase.SETTLED);
    if (ended.length === 0) return;
    this.#live = this.#live.filter((id) => !ended.includes(id));
    this.#settled = [...this.#settled, ...ended].slice(-KEPT);
  }

  #mood({ seats }: JobSpec): Mood {
    const { random } = this;
    return {
      diligence: 1 - random.next() ** 2 * 0.5,
      lazySeat: random.chance(0.2) ? random.below(seats) : -1,
      mutedSeat: random.chance(0.2) ? random.below(seats) : -1,
    };
  }

  /** Time of the next block: now and then exactly, one second before or one second after the end of a phase. */
  nextTime(): number {
    const { random, now } = this;
    const jobs = this.liveJobs();
    const stuck = jobs.filter((job) => this.#isStuck(job) || !random.chance(job.mood.diligence));
    const edges = this.#market.edges().filter((time) => time > now);
    if (edges.length > 0 && random.chance(0.2)) return Math.min(...edges) + random.pick([-1, 0, 0]);
    if (stuck.length === 0 || !random.chance(0.3)) return now + (random.chance(0.5) ? 0 : random.below(3));
    const end = Math.min(...stuck.map(({ spec, state }) => phaseEnd(spec, state)));
    return Math.max(now, end + random.pick([-1, 0, 0, 1]));
  }

  /** What became of a call. */
  observe({ args }: Call, error?: string): void {
    const job = this.world.board.state.get(args[0] as Hex);
    if (job !== undefined && error !== undefined && HOPELESS.has(error))
      this.#hopeless.set(args[0] as Hex, stageOf(job));
  }

  /** Nothing but time helps. */
  #isStuck(job: LiveJob): boolean {
    const { state, mood } = job;
    if (this.#hopeless.get(job.jobId) === stageOf(job)) return true;
    const undecided = listSeats(state.active & ~state.committed & ~state.abstained);
    if (state.phase === JobPhase.COMMIT) return undecided.every((seat) => seat === mood.lazySeat);
    const unproven = listSeats(state.selected & ~state.proven);
    return state.phase === JobPhase.PROVE && unproven.length > 0 && unproven.every((seat) => seat === mood.mutedSeat);
  }

  /** Whether a call of this block can do something for the job. */
  #canMove(job: LiveJob): boolean {
    const { spec, state, ticket } = job;
    if (this.now >= phaseEnd(spec, state)) return true;
    if (state.phase === JobPhase.DRAW) return ticket !== 0 && ticket < this.world.env.block;
    return !this.#isStuck(job) || (state.phase === JobPhase.PROVE && state.attested !== state.committed);
  }

  next(): Call {
    const { random } = this;
    const live = this.liveJobs();
    const call = this.#choose(live);
    if (this.#sent.length < REPLAYS) this.#sent.push(call);
    else this.#sent[random.below(REPLAYS)] = call;
    return call;
  }

  #choose(live: readonly LiveJob[]): Call {
    const { random } = this;
    const roll = random.next();
    if (roll < 0.04 && this.#sent.length > 0) {
      const old = random.pick(this.#sent);
      return random.chance(0.5) ? old : { ...old, from: this.anybody() };
    }
    if (roll < 0.11) return this.#money.next();
    if (roll < 0.13) return this.#relays.next();
    if (roll < 0.3) return this.#market.next();
    if (roll < 0.37 && this.#settled.length > 0) return this.#jobs.collect(this.job(random.pick(this.#settled)));
    const movable = live.filter((job) => this.#canMove(job));
    const few = live.length < MAX_LIVE && random.chance(movable.length === 0 ? 0.3 : 0.06);
    if (live.length === 0 || few) return this.#jobs.post();
    if (random.chance(0.06)) return this.#jobs.stray(random.pick(live));
    if (movable.length === 0 && random.chance(0.8)) return random.pick([this.#money, this.#market]).next();
    return this.#jobs.expected(random.pick(movable.length === 0 ? live : movable));
  }

  requester(): Hex {
    return this.random.pick(people.requesters).address;
  }
}

/** Errors that the same call meets again: somebody has committed to what cannot be proven or merged. */
const HOPELESS = new Set(["BadPoint", "WrongCommit", "CommitMismatch"]);
const stageOf = ({ state }: BoardJob) => `${state.phase} ${state.round}`;

interface Signed {
  readonly signer: Hex;
  readonly domain: Hex;
  readonly values: readonly Word[];
}

const signatureOf = (kind: MessageKind, { signer, domain, values }: Signed): Hex =>
  puppetSignature(signer, messageDigest(domain, kind, ...values));
