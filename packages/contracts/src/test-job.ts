import { JobPhase } from "@skynet/protocol";
import type { Hex, JobSpec } from "@skynet/protocol";
import { keccak256, toHex, zeroHash } from "viem";
import type { Chain } from "./chain/types.ts";
import type { ChainJob } from "./chain/records.ts";
import { testMeta, testSpec } from "./test-chain.ts";

export const keyRef = keccak256(toHex("keys"));
export const modelAfter = (round: number): Hex => keccak256(toHex(`model ${round + 1}`));

/** One job of the tests and the moves that its parties make. */
export interface TestJob {
  readonly jobId: Hex;
  readonly requester: Chain;
  readonly workers: readonly Chain[];
  view(): Promise<ChainJob>;
  join(seats?: readonly number[]): Promise<void>;
  ready(seats?: readonly number[]): Promise<void>;
  commit(seats?: readonly number[]): Promise<void>;
  attest(seats?: readonly number[], received?: bigint): Promise<void>;
  merge(seats?: readonly number[]): Promise<void>;
  /** Commit, attest and merge by everybody. */
  round(): Promise<void>;
  /** Every claim that is possible. */
  collect(): Promise<void>;
}

/** Mints, deposits and (for all but the first party) registers and stakes. */
export async function fundParties(parties: readonly Chain[], amount = 1_000_000n): Promise<void> {
  for (const [index, party] of parties.entries()) {
    const token = party.addresses.testToken;
    await party.mint(2n * amount);
    await party.deposit(token, amount);
    if (index === 0) continue;
    await party.register();
    await party.addStake(token, amount / 2n);
  }
}

/** Posts a job of party 0 for the others. */
export async function postTestJob(parties: readonly Chain[], change: Partial<JobSpec> = {}): Promise<TestJob> {
  const [requester, ...workers] = parties as [Chain, ...Chain[]];
  const spec = testSpec(requester, change);
  const { jobId } = await requester.post(spec, testMeta);
  const everybody = Array.from({ length: spec.seats }, (_, seat) => seat);
  const view = () => requester.job(jobId);
  const sender = workers[0]!;

  const job: TestJob = {
    jobId,
    requester,
    workers,
    view,
    join: async (seats = everybody) => {
      for (const seat of seats) await workers[seat]!.join(jobId);
    },
    ready: async (seats = everybody) => {
      const signed = await Promise.all(
        seats.map(async (seat) => ({ seat, signature: await workers[seat]!.signReady({ jobId, keyRef }) })),
      );
      await sender.ready(jobId, keyRef, signed);
    },
    commit: async (seats = everybody) => {
      for (const seat of seats) await workers[seat]!.commit(jobId, modelAfter(seat), zeroHash);
    },
    attest: async (seats = everybody, received = 2n ** BigInt(spec.seats) - 1n) => {
      const { round } = (await view()).state;
      const message = { jobId, round, received, idNext: zeroHash };
      const rows = await Promise.all(
        seats.map(async (seat) => ({ seat, received, signature: await workers[seat]!.signAttest(message) })),
      );
      await sender.attest(jobId, rows);
    },
    merge: async (seats = everybody) => {
      const { round, committed, delivered, slashed } = (await view()).state;
      const message = { jobId, round, received: committed & delivered & ~slashed, idNext: modelAfter(round) };
      const signed = await Promise.all(
        seats.map(async (seat) => ({ seat, signature: await workers[seat]!.signAttest(message) })),
      );
      await sender.merge(jobId, message.idNext, signed);
    },
    round: async () => {
      await job.commit();
      await job.attest();
      await job.merge();
    },
    collect: async () => {
      const { state } = await view();
      for (const seat of state.workers.keys()) {
        if (state.claimedTo[seat]! < state.round) await sender.claim(jobId, seat, state.round);
        if (state.phase === JobPhase.SETTLED && state.holdResult === 1) await sender.claimHold(jobId, seat);
        if (state.phase === JobPhase.SETTLED) await sender.release(jobId, seat);
      }
    },
  };
  return job;
}
