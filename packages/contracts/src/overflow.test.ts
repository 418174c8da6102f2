// The largest amounts and counters.
import { JobPhase } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { createTestClient, encodeAbiParameters, http, keccak256, toHex } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { jobBoardAbi, workerRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import { createSender } from "./chain/transactions.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey, testMeta, testSpec } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { fundParties, postTestJob } from "./test-job.ts";
import { startProofJob } from "./test-proof-job.ts";

const LARGEST = 1n << 120n;

let chain: TestChain;
let parties: readonly Chain[];
let undo: () => Promise<void>;

beforeAll(async () => {
  chain = await startTestChain(4);
  parties = chain.parties;
  await fundParties(parties);
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

const pass = () => chain.advance(1_001);

describe("amounts", () => {
  test("are deposited up to 2^120 units at once, as often as one likes", async () => {
    const [party] = parties as [Chain];
    const token = party.addresses.testToken;
    await party.mint(3n * LARGEST);
    await expect(party.deposit(token, LARGEST + 1n)).rejects.toMatchObject({ code: "BadAmount" });
    await party.deposit(token, LARGEST);
    await party.deposit(token, LARGEST);
    expect((await party.balances(token)).ledger).toBe(2n * LARGEST + 1_000_000n);
  });

  test("of terms have edges at 2^120, and the budget at 2^128", async () => {
    const [party] = parties as [Chain];
    const post = (change: object) => party.post(testSpec(party, change), testMeta);
    const dear = { priceMin: LARGEST, priceMax: LARGEST };
    await party.mint(10n * LARGEST);
    for (let i = 0; i < 10; i++) await party.deposit(party.addresses.testToken, LARGEST);
    for (const name of ["priceMax", "stake", "missPenalty", "mergeFee"])
      await expect(post({ [name]: LARGEST + 1n }), name).rejects.toMatchObject({ code: "BadAmount" });
    // 16 seats and 16 rounds are 2^8
    const full = { ...dear, seats: 16, averaging: 16, rounds: 16, mergeFee: 0n };
    // the client would look at the balance first
    const send = createSender(await connect(chain.anvil.rpcUrl, testKey(0)));
    const { jobBoard: address } = party.addresses;
    const args = [testSpec(party, full), toHex(testMeta)];
    const sent = send({ address, abi: jobBoardAbi, functionName: "post", args });
    await expect(sent).rejects.toMatchObject({ code: "BudgetTooLarge" });
    await expect(post({ ...full, priceMin: 0n, priceMax: LARGEST - 1n })).rejects.toMatchObject({
      code: "InsufficientBalance",
      needed: 256n * (LARGEST - 1n),
    });
  });

  test("at the largest price every unit is paid or returned", async () => {
    const [requester, ...workers] = parties as [Chain, ...Chain[]];
    const token = requester.addresses.testToken;
    const budget = 9n * LARGEST;
    await requester.mint(budget);
    for (let i = 0; i < 9; i++) await requester.deposit(token, LARGEST);
    const before = (await requester.balances(token)).ledger;
    const price = LARGEST - 7n;
    const job = await postTestJob(parties, { priceMin: price, priceMax: price, rounds: 3, mergeFee: 0n, holdBps: 333 });
    await job.join();
    await job.ready();
    await job.round();
    await requester.stop(job.jobId);
    await job.round();
    await requester.complain(job.jobId);
    await job.collect();
    const money = await requester.money(job.jobId);
    const hold = (price * 333n) / 10_000n;
    expect(money).toMatchObject({ budget: 9n * price, escrow: 0n, burned: 6n * hold, paid: 6n * (price - hold) });
    expect((await requester.balances(token)).ledger).toBe(before - 6n * price);
    for (const worker of workers) expect((await worker.balances(token)).lockedStake).toBe(0n);
  });
});

describe("counters of a worker", () => {
  const registry = () => ({ address: parties[0]!.addresses.workerRegistry, abi: workerRegistryAbi });

  async function readScores(worker: Hex): Promise<readonly number[]> {
    const { publicClient } = await connect(chain.anvil.rpcUrl, testKey(0));
    return publicClient.readContract({ ...registry(), functionName: "scores", args: [worker] });
  }

  /** Sets all counters by writing their word; the reader shows that it was the right one. */
  async function setScores(worker: Hex, scores: readonly number[]): Promise<void> {
    const rpc = createTestClient({ mode: "anvil", transport: http(chain.anvil.rpcUrl) });
    const slot = 4n;
    const index = keccak256(encodeAbiParameters([{ type: "address" }, { type: "uint256" }], [worker, slot]));
    const value = scores.reduce((word, score, i) => word | (BigInt(score) << BigInt(32 * i)), 0n);
    await rpc.setStorageAt({ address: registry().address, index, value: toHex(value, { size: 32 }) });
    expect(await readScores(worker)).toEqual(scores);
  }

  test("beyond 16 bits stop no job: the audit that it fails is counted, and the others are paid", async () => {
    const job = await startProofJob(chain, { rounds: 1 });
    const silent = job.workers[2]!;
    await setScores(silent.address, [65_535, 65_535, 65_535, 65_535, 65_535]);
    await job.commitWork();
    await job.drawAudits();
    await job.proveSeats([0, 1]);
    await job.attest();
    await pass();
    await job.requester.tick(job.jobId);
    expect((await job.view()).state).toMatchObject({ phase: JobPhase.MERGE, slashed: 4n });
    await job.mergeWork();
    await job.requester.accept(job.jobId);
    await job.collect();
    expect(await readScores(silent.address)).toEqual([65_536, 65_535, 65_535, 65_536, 65_536]);
    expect((await job.requester.money(job.jobId)).escrow).toBe(0n);
  });
});
