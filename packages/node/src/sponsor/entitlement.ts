import { ChainError, type Chain, type ChainJob } from "@skynet/contracts";
import { addressOfPublicKey } from "@skynet/contracts";
import { JobPhase, type Hex, type JobSpec } from "@skynet/protocol";
import { jobOf, rowsOf, type SponsorCall } from "./calls.ts";
import { SponsorError } from "./errors.ts";
import type { SponsorRequest } from "./messages.ts";
import { authorizationOf } from "./signatures.ts";

export type EntitlementChain = Pick<Chain, "job" | "worker" | "balances" | "addresses" | "chainId">;

/** Whether the sponsor pays for a job. */
export type ChoosesJob = (jobId: Hex, spec: JobSpec) => boolean;

/**
 * Whether `from` may have this call paid: it is for a chosen job, and `from` has a seat in it or is about to take one
 * with a stake that it has.
 * @returns the job; @throws SponsorError `NotMyJob`, `NotEntitled`
 */
export async function checkEntitlement(
  chain: EntitlementChain,
  chooses: ChoosesJob,
  from: Hex,
  request: SponsorRequest,
  call: SponsorCall,
): Promise<ChainJob> {
  if ((jobOf(call) ?? request.job) !== request.job)
    throw new SponsorError("Malformed", "the call is about another job than the request");
  const job = await chain.job(request.job).catch((error: unknown) => {
    if (error instanceof ChainError && error.code === "UnknownJob") return undefined;
    throw error;
  });
  if (job === undefined || !chooses(request.job, job.spec))
    throw new SponsorError("NotMyJob", "this sponsor does not pay for that job", {
      hint: "ask the job's requester, or another relay",
    });
  const seated = job.state.workers.includes(from);
  if (!seated) await checkNewcomer(chain, from, job, call);
  if (call.contract !== "jobBoard") await checkAccount(chain, from, job, call);
  return job;
}

/** What a node may have paid before it has a seat; it must have the job's stake, which can move from key to key: the budget bounds what all such keys get. */
async function checkNewcomer(chain: EntitlementChain, from: Hex, job: ChainJob, call: SponsorCall): Promise<void> {
  const steps = ["registerFor", "setCapabilitiesFor", "depositFor", "addStakeFor", "joinFor"];
  if (!steps.includes(call.functionName)) throw notEntitled("it has no seat in the job");
  if (job.state.phase !== JobPhase.OPEN) throw notEntitled("the job takes no more workers");
  if (call.functionName === "joinFor") {
    const [row, ...more] = rowsOf(call) as unknown as [readonly [{ readonly worker: Hex }], ...unknown[]];
    if (more.length > 0 || row[0].worker.toLowerCase() !== from)
      throw notEntitled("the acceptance is another worker's");
  }
  const { wallet, ledger, freeStake } = await chain.balances(job.spec.token, from);
  if (wallet + ledger + freeStake < job.spec.stake)
    throw notEntitled("it has less than the job's stake, in its wallet and in the Ledger together");
}

/** Calls about an account: the sender's own, in the job's token. */
async function checkAccount(chain: EntitlementChain, from: Hex, job: ChainJob, call: SponsorCall): Promise<void> {
  const { functionName, args } = call;
  const { token } = job.spec;
  const signer = authorizationOf(call)?.signer.toLowerCase();
  if (signer !== undefined && signer !== from) throw notEntitled("the call is signed by another account");
  const [first, second] = args as [Hex, Hex];
  if (functionName === "registerFor" && (first.length !== 130 || addressOfPublicKey(first) !== from))
    throw notEntitled("the key to register is another node's");
  const inToken = ["addStakeFor", "beginUnstakeFor", "finishUnstake", "depositFor", "withdrawFor"];
  if (!inToken.includes(functionName)) return;
  if (first.toLowerCase() !== token) throw notEntitled("the call is about another token than the job's");
  const owner = second.toLowerCase();
  const own = owner === from || (functionName === "withdrawFor" && owner === (await chain.worker(from)).payout);
  if (!own) throw notEntitled("the call is about another account");
}

const notEntitled = (reason: string) =>
  new SponsorError("NotEntitled", `this sponsor does not pay for that: ${reason}`);
