import type { Chain } from "@skynet/contracts";
import type { IndexClient, IndexedJob } from "@skynet/indexer";
import { fromHex, InvalidInputError } from "@skynet/protocol";
import { describeAccess, describeJob } from "../roles/describe-job.ts";
import { findJob, openReader } from "./account.ts";
import { formatAmount, isId } from "./format.ts";
import { allEntries, chooseIndex, matches, tokenOf, type IndexChoice } from "./index-choice.ts";
import type { Ui } from "./ui.ts";

export type JobDetails = Awaited<ReturnType<typeof describeJob>>;

export interface JobFilter {
  readonly search?: string;
  /** Without settled jobs. */
  readonly active?: true;
}

/** Where lists of jobs come from. Both say the same; an index is quicker, and has to be believed. */
export interface JobSource {
  /** Oldest first. */
  list(filter: JobFilter): Promise<JobDetails[]>;
  /** @throws InvalidInputError `NoSuchJob` unless exactly one id begins so */
  show(prefix: string): Promise<JobDetails & ReturnType<typeof describeAccess>>;
}

/** The index that is configured, else the chain. */
export async function openJobSource(options: IndexChoice, ui: Ui): Promise<JobSource> {
  const index = await chooseIndex(options, ui);
  return index === undefined ? chainSource(await openReader(options)) : indexSource(index);
}

function chainSource(chain: Chain): JobSource {
  return {
    list: async ({ search, active }) => {
      const jobs: JobDetails[] = [];
      for (const jobId of await chain.jobIds()) {
        const job = await describeJob(chain, jobId);
        if (active && job.phase === "SETTLED") continue;
        if (matches(search, job.jobId, job.name, job.requester)) jobs.push(job);
      }
      return jobs;
    },
    show: async (prefix) => {
      const jobId = await findJob(chain, prefix);
      const [details, { spec }, meta] = await Promise.all([
        describeJob(chain, jobId),
        chain.job(jobId),
        chain.meta(jobId),
      ]);
      return { ...details, ...describeAccess(spec.admitter, meta) };
    },
  };
}

function indexSource(index: IndexClient): JobSource {
  return {
    list: async ({ search, active }) => {
      const jobs = await allEntries(index.jobs, {
        ...(search === undefined ? {} : { q: search }),
        ...(active === undefined ? {} : { active }),
      });
      return jobs.map(detailsOf);
    },
    show: async (prefix) => {
      const [head = ""] = prefix.split("…");
      const valid = /^0x[0-9a-f]{0,64}$/i.test(head);
      const page = valid ? await index.jobs({ prefix: head, limit: 200 }) : { items: [] };
      const items = page.items.filter(({ id }) => isId(id, prefix));
      const detail = items.length === 1 ? await index.job(items[0]!.id) : undefined;
      if (detail !== undefined) {
        const meta = detail.meta === null ? new Uint8Array() : fromHex(detail.meta);
        return { ...detailsOf(detail), ...describeAccess(String(detail.terms.admitter), meta) };
      }
      const message = items.length === 0 ? `the index has no job ${prefix}` : `several jobs begin with ${prefix}`;
      throw new InvalidInputError("NoSuchJob", message, { hint: "npx skynet job list shows the ids" });
    },
  };
}

/** An indexed job in the words of the chain's description. */
function detailsOf(job: IndexedJob): JobDetails {
  const token = tokenOf(job.token);
  const amount = (value: bigint) => formatAmount(value, token);
  const [from, to] = [amount(job.priceMin), amount(job.priceMax)];
  const details = {
    jobId: job.id,
    name: job.name ?? "(metadata not readable)",
    requester: job.requester,
    phase: job.phase,
    outcome: job.outcome,
    round: job.round,
    rounds: job.rounds,
    seats: job.seats,
    workers: job.workers,
    offers: from === to ? to : `${from} rising to ${to}`,
    price: amount(job.price),
    stake: amount(job.stake),
    budget: amount(job.budget),
    paid: amount(job.paid),
    refunded: amount(job.refunded),
    burned: amount(job.burned),
    modelId: job.modelId,
    verification:
      job.mode === "proof" ? `proof, ${job.zeroKnowledge ? "" : "not "}zero-knowledge` : "quorum of signatures",
  };
  return details;
}
