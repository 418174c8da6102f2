import type { Hex } from "@skynet/protocol";
import { z } from "zod";
import { FileError, readFileIfThere, writeFileAtomic } from "../runtime/files.ts";
import { SponsorError } from "./errors.ts";

/** Most gas that a sponsor pays. */
export interface BudgetLimits {
  /** For everybody in one day (UTC). */
  readonly dayGas: bigint;
  /** For the seats of one job together, from its beginning to its end. */
  readonly jobGas: bigint;
  /** For one worker with a seat, in one job and day. */
  readonly workerGas: bigint;
  /** For one key before it has a seat, in one job and day; all of them together have this for each seat of the job. */
  readonly newcomerGas: bigint;
}

/** Who spends: a worker for a job. */
export interface Spender {
  readonly worker: Hex;
  readonly job: Hex;
  /** Seats of the job, when the worker has none of them. */
  readonly newcomerOf?: number | undefined;
}

const amounts = z.record(z.string(), z.string().regex(/^\d{1,20}$/));
const fileSchema = z.strictObject({ version: z.literal(1), day: z.number().int(), workers: amounts, jobs: amounts });

/** Purses that are remembered, two of each job; those of older jobs are over. */
const MAX_PURSES = 2000;
const DAY_MS = 86_400_000;

/** Counts the gas that was paid, on disk, so that a restart does not begin a new budget. */
export class Budget {
  readonly #file: string;
  readonly #limits: BudgetLimits;
  readonly #nowMs: () => number;
  #day = 0;
  readonly #workers = new Map<string, bigint>();
  readonly #jobs = new Map<string, bigint>();
  #saving: Promise<void> = Promise.resolve();

  private constructor(file: string, limits: BudgetLimits, nowMs: () => number) {
    this.#file = file;
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** @throws FileError `BrokenBudgetFile`: what was spent is not known then */
  static async open(file: string, limits: BudgetLimits, nowMs: () => number = Date.now): Promise<Budget> {
    const budget = new Budget(file, limits, nowMs);
    const content = await readFileIfThere(file);
    if (content !== undefined) budget.#load(content);
    return budget;
  }

  #load(content: Uint8Array): void {
    try {
      const { day, workers, jobs } = fileSchema.parse(JSON.parse(new TextDecoder().decode(content)));
      this.#day = day;
      for (const [worker, gas] of Object.entries(workers)) this.#workers.set(worker, BigInt(gas));
      for (const [job, gas] of Object.entries(jobs)) this.#jobs.set(job, BigInt(gas));
    } catch (cause) {
      throw new FileError("BrokenBudgetFile", `${this.#file} is damaged: what was paid today is not known`, {
        cause,
        hint: "move the file away to begin a new budget",
      });
    }
  }

  /** Gas of this day. */
  get spentToday(): bigint {
    this.#turnDay();
    return this.#workers.values().reduce((sum, gas) => sum + gas, 0n);
  }

  /**
   * Sets gas aside before it is spent. Whoever has no seat may be one of any number of keys of one owner, so these have a
   * purse of their own: what the seats need is not theirs.
   * @returns puts the gas that was really used in its place, once; @throws SponsorError `BudgetSpent`
   */
  reserve({ worker, job, newcomerOf: seats }: Spender, gas: bigint): (used: bigint) => void {
    this.#turnDay();
    const { dayGas, jobGas, workerGas, newcomerGas } = this.#limits;
    const isNewcomer = seats !== undefined;
    const purse = isNewcomer ? `${job}/newcomers` : job;
    const part = `${worker}/${purse}`;
    if (this.spentToday + gas > dayGas) throw spent("of this day");
    if ((this.#jobs.get(purse) ?? 0n) + gas > (isNewcomer ? BigInt(seats) * newcomerGas : jobGas))
      throw spent(isNewcomer ? "of the job for workers without a seat" : "of the job");
    if ((this.#workers.get(part) ?? 0n) + gas > (isNewcomer ? newcomerGas : workerGas))
      throw spent(isNewcomer ? "of a worker without a seat" : "of the worker for this job and day");
    this.#add(part, purse, gas);
    const day = this.#day;
    let settled = false;
    return (used) => {
      if (settled) return;
      settled = true;
      this.#turnDay();
      if (this.#day === day) this.#add(part, purse, used - gas);
      else this.#addTo(this.#jobs, purse, used - gas);
    };
  }

  /** Writes what is reserved and spent; earlier writes come first. */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#write());
    return this.#saving;
  }

  async #write(): Promise<void> {
    const content = { version: 1, day: this.#day, workers: texts(this.#workers), jobs: texts(this.#jobs) };
    await writeFileAtomic(this.#file, `${JSON.stringify(content)}\n`, 0o600);
  }

  #turnDay(): void {
    const day = Math.floor(this.#nowMs() / DAY_MS);
    if (day <= this.#day) return;
    this.#day = day;
    this.#workers.clear();
  }

  #add(part: string, purse: string, gas: bigint): void {
    this.#addTo(this.#workers, part, gas);
    this.#addTo(this.#jobs, purse, gas);
    if (this.#jobs.size > MAX_PURSES) this.#jobs.delete(this.#jobs.keys().next().value!);
  }

  #addTo(map: Map<string, bigint>, name: string, gas: bigint): void {
    map.set(name, (map.get(name) ?? 0n) + gas);
  }
}

const texts = (map: ReadonlyMap<string, bigint>) =>
  Object.fromEntries([...map].map(([name, gas]) => [name, String(gas < 0n ? 0n : gas)]));

const spent = (whose: string) =>
  new SponsorError("BudgetSpent", `the sponsor's gas ${whose} is spent`, {
    hint: "ask another sponsor, come back tomorrow, or put some ether into the wallet",
  });
