import { createRandom, JobOutcome, JobPhase } from "@skynet/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { errorsAbi } from "../chain/abi.ts";
import { fuzzers } from "../fuzz.ts";
import { Agent } from "./agent.ts";
import type { CampaignReport } from "./campaign.ts";
import { Duel, opening } from "./duel.ts";
import { startEvm } from "./evm.ts";
import { describeFailure, shrink } from "./shrink.ts";
import { furnish } from "./world.ts";
import type { World } from "./world.ts";

const CALLS = 100_000;

/** Errors of libraries and tokens, of public chains and of hostile contracts: tests of their own meet them. */
const elsewhere = new Set([
  "CreationFailed",
  "ECDSAInvalidSignature",
  "ECDSAInvalidSignatureLength",
  "ECDSAInvalidSignatureS",
  "ERC20InsufficientBalance",
  "ERC20InvalidApprover",
  "ERC20InvalidSender",
  "ERC20InvalidSpender",
  "ERC2612ExpiredSignature",
  "ERC2612InvalidSigner",
  "FeeOnTransfer",
  "InvalidAccountNonce",
  "InvalidShortString",
  "NotEnoughGas",
  "NothingToDeploy",
  "OnlyDevelopmentChain",
  "RefundFailed",
  "ReentrancyGuardReentrantCall",
  "SafeERC20FailedOperation",
  "StillBonded",
  "StringTooLong",
  "WrongInitcode",
]);

/** Functions that only contracts may call. */
const internal = /\.(lock|unlock|slash|recordPaid|recordProof|pull|move)$/;

describe("all contracts against a model of their rules", () => {
  let report: CampaignReport;
  beforeAll(async () => {
    report = (await fuzzers["contracts"]!({ count: CALLS, seed: 1 })) as unknown as CampaignReport;
  }, 600_000);

  test("every call ends as the model says, and every cell that it changes is what the model says", () => {
    expect(report.calls).toBe(CALLS);
    expect(report.questions).toBeGreaterThan(CALLS / 2);
  });

  test("calls meet jobs in every phase, and jobs end in every way", () => {
    for (const phase of Object.keys(JobPhase)) expect(report.phases[phase], phase).toBeGreaterThan(100);
    for (const outcome of Object.keys(JobOutcome)) expect(report.outcomes[outcome], outcome).toBeGreaterThan(3);
  });

  test("purchases and requests of answers end in every way", () => {
    for (const state of ["NEW", "DELIVERED", "PAID", "REFUNDED"])
      expect(report.purchases[state], state).toBeGreaterThan(3);
    for (const state of ["OPEN", "PAID", "REFUNDED"]) expect(report.requests[state], state).toBeGreaterThan(3);
  });

  test("every function succeeds often, but those that only contracts may call", () => {
    for (const [name, { succeeded }] of Object.entries(report.functions)) {
      if (internal.test(name)) expect(succeeded, name).toBe(0);
      else expect(succeeded, name).toBeGreaterThan(3);
    }
  });

  test("calls are refused with every error", () => {
    const names = new Set(errorsAbi.flatMap((item) => ("name" in item ? [item.name] : [])));
    for (const name of names) expect(name in report.refusals, name).toBe(!elsewhere.has(name));
  });
});

describe("a model that is wrong", () => {
  test("is found out, by a trace of a few calls", async () => {
    const evm = await startEvm();
    try {
      const honest = await furnish(evm);
      const newWorld = (): World => {
        const world = honest();
        // thinks that a stake can be taken back at once
        world.registry.calls.beginUnstake = () => undefined;
        return world;
      };
      const duel = new Duel(evm, newWorld());
      const undo = await evm.snapshot();
      const reason = await playUntilFailure(duel, 4_000);
      await undo();
      const text = describeFailure(await shrink(evm, newWorld, duel.trace, reason), reason);
      expect(text).toContain("workerRegistry.beginUnstake(");
      expect(text.split("\n").length).toBeLessThan(20);
    } finally {
      await evm.close();
    }
  }, 300_000);
});

async function playUntilFailure(duel: Duel, calls: number): Promise<unknown> {
  const first = opening(duel.world);
  await duel.block(duel.world.env.now + 1, () => first.next().value);
  const agent = new Agent(createRandom(1), duel.world);
  try {
    for (let done = 0; done < calls; done += 20) {
      let left = 20;
      await duel.block(agent.nextTime(), () => (left-- > 0 ? agent.next() : undefined));
    }
  } catch (error) {
    return error;
  }
  throw new Error("nothing was found");
}
