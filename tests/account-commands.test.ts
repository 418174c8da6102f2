import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Chain } from "@skynet/contracts";
import { createKeystore } from "@skynet/node";
import { fromHex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestChain, testKey, type TestChain } from "../packages/contracts/src/test-chain.ts";
import { fundParties, postTestJob } from "../packages/contracts/src/test-job.ts";
import { unitsOf } from "../packages/node/src/cli/account.ts";
import { collectEarnings, readEarnings } from "../packages/node/src/roles/earnings.ts";
import { actOnJob, settleJob, type JobAction } from "../packages/node/src/roles/job-actions.ts";
import { fundLedger, tokenInfo } from "../packages/node/src/roles/token.ts";
import { addStake, changePayout, unstake } from "../packages/node/src/roles/worker-account.ts";
import { eventsOf, skynet } from "./support/cli.ts";

let folder = "";
let chain: TestChain;
let parties: readonly Chain[];

const file = (name: string) => path.join(folder, name);
const env = () => ({ SKYNET_HOME: file("home"), SKYNET_PASSPHRASE: "pass", NO_COLOR: "1" });
const wallet = (party: number) => ["--keystore", file(`${party}.json`)];

/** Runs a command with --json; its result or its error, and its exit code. */
async function run(...args: readonly string[]): Promise<Record<string, unknown>> {
  const result = await skynet([...args, "--rpc", chain.anvil.rpcUrl, "--json"], { env: env() });
  return { ...eventsOf(result.stdout).at(-1), exit: result.code };
}

const refused = (code: string, hint: RegExp, message = /./) => ({
  code,
  message: expect.stringMatching(message) as unknown,
  hint: expect.stringMatching(hint) as unknown,
});

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-account-"));
  chain = await startTestChain(6);
  parties = chain.parties;
  await fundParties(parties.slice(0, 4));
  await Promise.all(
    parties.map((_, party) => createKeystore(file(`${party}.json`), fromHex(testKey(party)), "pass", 1024)),
  );
}, 120_000);
afterAll(async () => {
  await chain.stop();
  await fs.rm(folder, { recursive: true, force: true });
});

describe("worker's account", () => {
  it("registers, stakes, takes stake back in two steps, and obeys the payout key only", async () => {
    const [hot, cold] = [parties[4]!, parties[5]!];
    await hot.mint(1_000_000_000n);
    const token = { address: hot.addresses.testToken, ...(await tokenInfo(hot.rpcUrl, hot.addresses.testToken)) };
    const worker = (...args: readonly string[]) => run("worker", ...args, ...wallet(4));
    await expect(addStake(hot, token, hot.address, 5n)).rejects.toMatchObject(refused("NotRegistered", /r register/));
    const place = ["--gpu", "H200", "--region", "eu"];
    expect(await worker("register", "--payout", cold.address, "--region", "?")).toMatchObject({ exit: 1 });
    expect(await worker("register", "--payout", cold.address, ...place)).toMatchObject({
      exit: 0,
      worker: hot.address,
    });
    expect(await worker("register")).toMatchObject({ exit: 1, ...refused("AlreadyRegistered", /worker payout/) });

    expect(() => unitsOf("0.1234567", token)).toThrow("TEST has 6");
    expect(() => unitsOf("0", token)).toThrow("zero");
    await expect(addStake(hot, token, hot.address, 5_000_000_000n)).rejects.toMatchObject(
      refused("InsufficientBalance", /send 4000 TEST to 0x/, /1000 TEST in its wallet and 0 TEST in the Ledger/),
    );
    expect(await worker("stake", "30.5")).toMatchObject({ exit: 0, freeStake: "30500000" });

    await expect(unstake(hot, token, hot.address, 31_000_000n)).rejects.toMatchObject(
      refused("NoFreeStake", /earnings claim/, /30\.5 TEST/),
    );
    expect(await worker("unstake", "10")).toMatchObject({ exit: 0, step: "begun", amount: "10000000" });
    const left = { ...(await hot.leaving(token.address)) };
    // The second finds nothing missing.
    for (let i = 0; i < 2; i++) await fundLedger(hot, token.address, 7_000_000n);
    const args = ["wallet", "withdraw", ...wallet(4), "--rpc", chain.anvil.rpcUrl];
    const { stdout } = await skynet(args, { env: env() });
    expect(stdout).toMatch(/withdrawn: 7 TEST\n30\.5 TEST stay as stake \(npx skynet worker unstake /);
    expect(await hot.balances(token.address)).toMatchObject({ ledger: 0n, freeStake: 20_500_000n });
    expect(await hot.leaving(token.address)).toEqual(left);
    const status = await run("worker", "status", hot.address);
    expect(status).toMatchObject({ capabilities: { version: 1, gpu: "H200", region: "eu" }, payout: cold.address });
    expect(status).toMatchObject({ registered: true, leaving: { amount: "10000000" }, freeStake: "20500000" });
    expect(await worker("unstake")).toMatchObject({ exit: 0, step: "finished", payout: cold.address });
    expect(await hot.balances(token.address, cold.address)).toMatchObject({ ledger: 10_000_000n });

    await expect(unstake(parties[1]!, token, hot.address)).rejects.toMatchObject(refused("NotPayout", /--keystore/));
    await expect(changePayout(hot, hot.address, hot.address)).rejects.toMatchObject(refused("NotPayout", /payout w/));
    const moved = await run("worker", "payout", hot.address, "--worker", hot.address, ...wallet(5));
    expect(moved).toMatchObject({ exit: 0, worker: hot.address, payout: hot.address });
  }, 120_000);

  it("shows what each job has brought, and claims it", async () => {
    const job = await postTestJob(parties.slice(0, 4), { rounds: 1 });
    await job.join();
    await job.ready();
    await job.round();
    const worker = parties[1]!;
    // Price 100: 75 for the work, 20 for delivery, 5 held.
    const open = { jobId: job.jobId, phase: "DELIVER", claimable: "95", claimed: "0", held: "5", stake: "120" };
    expect(await run("earnings", "--worker", worker.address)).toMatchObject({ exit: 0, jobs: [open] });
    await actOnJob(job.requester, job.jobId, "accept");
    const before = (await worker.balances(worker.addresses.testToken)).ledger;
    const collected = [{ jobId: job.jobId, paid: "100", stake: "120" }];
    expect(await run("earnings", "claim", ...wallet(1))).toMatchObject({ exit: 0, worker: worker.address, collected });
    expect((await worker.balances(worker.addresses.testToken)).ledger).toBe(before + 100n);
    const [after] = await readEarnings(worker, worker.address);
    expect(after).toMatchObject({ claimable: 0n, claimableHold: 0n, claimed: 100n, held: 0n, stake: 0n });
    expect(await collectEarnings(worker, worker.address)).toEqual([]);
    const text = await skynet(["earnings", "--worker", worker.address, "--rpc", worker.rpcUrl], { env: env() });
    expect(text.stdout).toMatch(/claimable.*held[^]*SETTLED/);
  }, 120_000);
});

describe("a requester's actions", () => {
  it("say who may, when, and what to do instead", async () => {
    const job = await postTestJob(parties.slice(0, 4));
    const act = (action: JobAction, party = parties[0]!) => actOnJob(party, job.jobId, action);
    expect(await run("job", "watch", "0xdead")).toMatchObject({ exit: 1, ...refused("NoSuchJob", /job list/) });
    await expect(act("cancel", parties[1])).rejects.toMatchObject(refused("NotRequester", /--keystore/));
    await expect(act("accept")).rejects.toMatchObject(refused("WrongPhase", /job cancel/, /phase OPEN/));
    await expect(settleJob(parties[5]!, job.jobId)).rejects.toMatchObject(refused("TooEarly", /job watch/));
    await job.join();
    await job.ready();
    const cancelled = await run("job", "cancel", job.jobId.slice(0, 10), ...wallet(0));
    expect(cancelled).toMatchObject({ exit: 1, ...refused("WrongPhase", /job stop/, /phase COMMIT/) });
    expect(await run("job", "stop", job.jobId, ...wallet(0))).toMatchObject({ exit: 0, action: "stop" });
    await job.round();
    await expect(act("stop")).rejects.toMatchObject(refused("WrongPhase", /job accept/, /phase DELIVER/));
    expect(await run("job", "complain", job.jobId, ...wallet(0))).toMatchObject({ exit: 0, action: "complain" });
    expect(await run("job", "show", job.jobId)).toMatchObject({ outcome: "STOPPED", burned: "0.000015 TEST" });

    const open = await postTestJob(parties.slice(0, 4));
    expect(await run("job", "cancel", open.jobId, ...wallet(0))).toMatchObject({ exit: 0, action: "cancel" });
    const late = await postTestJob(parties.slice(0, 4));
    await chain.advance(1_001);
    await expect(actOnJob(late.requester, late.jobId, "cancel")).rejects.toMatchObject(refused("TooLate", /settle/));
    const settled = await run("job", "settle", late.jobId, ...wallet(5));
    expect(settled).toMatchObject({ exit: 0, done: "settled: EXPIRED" });
    const list = await skynet(["job", "list", "--rpc", chain.anvil.rpcUrl], { env: env() });
    expect(list.stdout).toMatch(/STOPPED[^]*CANCELLED[^]*EXPIRED/);
  }, 120_000);
});
