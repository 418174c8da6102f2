import type { Hex } from "@skynet/protocol";
import type { Abi } from "viem";
import { encodeFunctionData, zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as BlacklistToken from "../generated/BlacklistToken.ts";
import * as FalseReturnToken from "../generated/FalseReturnToken.ts";
import * as FeeToken from "../generated/FeeToken.ts";
import * as NoReturnToken from "../generated/NoReturnToken.ts";
import * as ReentrantToken from "../generated/ReentrantToken.ts";
import { ledgerAbi, tokenAbi, workerRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import type { Connection } from "./chain/connection.ts";
import { createSender } from "./chain/transactions.ts";
import type { Call } from "./chain/transactions.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { fundParties, postTestJob } from "./test-job.ts";

let chain: TestChain;
let parties: readonly Chain[];
let outsider: Connection;
let undo: () => Promise<void>;

beforeAll(async () => {
  chain = await startTestChain(4);
  parties = chain.parties;
  await fundParties(parties);
  outsider = await connect(chain.anvil.rpcUrl, testKey(99));
  await chain.anvil.setBalance(outsider.account.address, 10n ** 21n);
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

const send = (call: Call) => createSender(outsider)(call);
const ledgerCall = (functionName: string, args: readonly unknown[]): Call => ({
  address: parties[0]!.addresses.ledger,
  abi: ledgerAbi,
  functionName,
  args,
});

async function deployToken({ abi, bytecode }: { abi: Abi; bytecode: Hex }): Promise<Hex> {
  const { walletClient, publicClient } = outsider;
  const hash = await walletClient.deployContract({ abi, bytecode });
  const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash });
  const address = contractAddress!.toLowerCase() as Hex;
  const call = { address, abi: tokenAbi };
  await send({ ...call, functionName: "mint", args: [outsider.account.address, 10_000n] });
  await send({ ...call, functionName: "approve", args: [parties[0]!.addresses.ledger, 10_000n] });
  return address;
}

const me = () => outsider.account.address;

describe("malicious tokens", () => {
  test("a token that keeps a fee is refused", async () => {
    const token = await deployToken(FeeToken);
    await expect(send(ledgerCall("deposit", [token, me(), 1_000n]))).rejects.toMatchObject({
      code: "FeeOnTransfer",
      details: [1_000n, 990n],
    });
  });

  test("a token that only says false is refused", async () => {
    const token = await deployToken(FalseReturnToken);
    await expect(send(ledgerCall("deposit", [token, me(), 1_000n]))).rejects.toMatchObject({
      code: "SafeERC20FailedOperation",
    });
  });

  test("a token that returns nothing works", async () => {
    const token = await deployToken(NoReturnToken);
    await send(ledgerCall("deposit", [token, me(), 1_000n]));
    await send(ledgerCall("withdraw", [token, me(), 400n]));
    expect((await parties[0]!.balances(token, me())).ledger).toBe(600n);
  });

  test.each(["deposit", "withdraw"])("a token that calls back into %s gains nothing", async (name) => {
    const token = await deployToken(ReentrantToken);
    await send(ledgerCall("deposit", [token, me(), 1_000n]));
    const inner =
      name === "deposit"
        ? encodeFunctionData({ abi: ledgerAbi, functionName: "deposit", args: [token, me(), 1n] })
        : encodeFunctionData({ abi: ledgerAbi, functionName: "withdrawFor", args: [token, me()] });
    const target = parties[0]!.addresses.ledger;
    await send({ address: token, abi: ReentrantToken.abi, functionName: "arm", args: [target, inner] });
    await send(ledgerCall(name, [token, me(), 100n]));
    const flag = (functionName: "attempted" | "succeeded") =>
      outsider.publicClient.readContract({ address: token, abi: ReentrantToken.abi, functionName });
    expect([await flag("attempted"), await flag("succeeded")]).toEqual([true, false]);
  });

  test("a blacklisted payee blocks only itself", async () => {
    const token = await deployToken(BlacklistToken);
    const [requester, ...workers] = parties as [Chain, ...Chain[]];
    for (const party of parties) {
      await send({ address: token, abi: tokenAbi, functionName: "mint", args: [party.address, 10_000n] });
      await party.deposit(token, 5_000n);
      if (party !== requester) await party.addStake(token, 500n);
    }
    const job = await postTestJob(parties, { token, rounds: 1 });
    await job.join();
    await job.ready();
    await job.round();
    await send({ address: token, abi: BlacklistToken.abi, functionName: "refuse", args: [workers[0]!.address] });
    await requester.accept(job.jobId);
    await job.collect();
    await expect(workers[0]!.withdraw(token, 1n)).rejects.toMatchObject({ code: "Reverted" });
    await workers[1]!.withdraw(token, 4_600n);
    expect((await job.requester.money(job.jobId)).escrow).toBe(0n);
  });

  test("tokens that are sent to the Ledger without a deposit belong to nobody", async () => {
    const { ledger, testToken } = parties[0]!.addresses;
    const read = () =>
      outsider.publicClient.readContract({ address: ledger, abi: ledgerAbi, functionName: "total", args: [testToken] });
    const total = await read();
    await send({ address: testToken, abi: tokenAbi, functionName: "mint", args: [ledger, 5_000n] });
    expect(await read()).toBe(total);
  });

  test("a permit that somebody has sent first does not stop the deposit", async () => {
    const [party] = parties as [Chain];
    const { ledger, testToken } = party.addresses;
    const account = privateKeyToAccount(testKey(0));
    const nonce = await outsider.publicClient.readContract({
      address: testToken,
      abi: tokenAbi,
      functionName: "nonces",
      args: [account.address],
    });
    const deadline = 2n ** 40n;
    const signature = await account.signTypedData({
      domain: { name: "SkyNet Test Token", version: "1", chainId: 31337, verifyingContract: testToken },
      types: {
        Permit: [
          { name: "owner", type: "address" },
          { name: "spender", type: "address" },
          { name: "value", type: "uint256" },
          { name: "nonce", type: "uint256" },
          { name: "deadline", type: "uint256" },
        ],
      },
      primaryType: "Permit",
      message: { owner: account.address, spender: ledger, value: 50n, nonce, deadline },
    });
    const [r, s, v] = [signature.slice(0, 66), `0x${signature.slice(66, 130)}`, Number(`0x${signature.slice(130)}`)];
    const permit = [50n, deadline, v, r, s];
    await send({
      address: testToken,
      abi: tokenAbi,
      functionName: "permit",
      args: [account.address, ledger, ...permit],
    });
    const before = (await party.balances(testToken)).ledger;
    const own = createSender(await connect(chain.anvil.rpcUrl, testKey(0)));
    await own(ledgerCall("depositWithPermit", [testToken, party.address, ...permit]));
    expect((await party.balances(testToken)).ledger).toBe(before + 50n);
  });
});

describe("authority", () => {
  test("only modules move escrows, only the board locks and slashes", async () => {
    const { testToken, workerRegistry } = parties[0]!.addresses;
    const victim = parties[1]!.address;
    await expect(send(ledgerCall("pull", [testToken, victim, zeroHash, 1n]))).rejects.toMatchObject({
      code: "NotModule",
    });
    await expect(send(ledgerCall("move", [testToken, zeroHash, zeroHash, 1n]))).rejects.toMatchObject({
      code: "NotModule",
    });
    const registry = { address: workerRegistry, abi: workerRegistryAbi };
    const lock: Call = { ...registry, functionName: "lock", args: [zeroHash, victim, testToken, 1n] };
    const slash: Call = { ...registry, functionName: "slash", args: [zeroHash, testToken, [victim], [1n], false] };
    await expect(send(lock)).rejects.toMatchObject({ code: "NotJobBoard" });
    await expect(send(slash)).rejects.toMatchObject({ code: "NotJobBoard" });
  });

  test("a stolen hot key cannot redirect the pay", async () => {
    const [, worker] = parties as [Chain, Chain];
    const cold = parties[3]!.address;
    await worker.setPayout(worker.address, cold);
    await expect(worker.setPayout(worker.address, worker.address)).rejects.toMatchObject({ code: "NotPayout" });
    const job = await postTestJob(parties, { rounds: 1 });
    await job.join();
    await job.ready();
    await job.round();
    const before = (await worker.balances(worker.addresses.testToken, cold)).ledger;
    await worker.claim(job.jobId, 0, 1);
    expect((await worker.balances(worker.addresses.testToken, cold)).ledger).toBe(before + 95n);
    await worker.beginUnstake(worker.addresses.testToken, 10n);
    await worker.finishUnstake(worker.addresses.testToken);
    expect((await worker.balances(worker.addresses.testToken, cold)).ledger).toBe(before + 105n);
  });

  test("claims sent by strangers pay the worker, and only once", async () => {
    const job = await postTestJob(parties, { rounds: 2 });
    await job.join();
    await job.ready();
    await job.round();
    const [requester, worker] = parties as [Chain, Chain];
    const before = (await worker.balances(worker.addresses.testToken)).ledger;
    await requester.claim(job.jobId, 0, 1);
    expect((await worker.balances(worker.addresses.testToken)).ledger).toBe(before + 95n);
    await expect(worker.claim(job.jobId, 0, 1)).rejects.toMatchObject({ code: "NothingToClaim" });
    await expect(worker.release(job.jobId, 0)).rejects.toMatchObject({ code: "SeatActive" });
  });

  test("nobody registers with a key that is not its own", async () => {
    const key = privateKeyToAccount(testKey(1)).publicKey;
    const register: Call = {
      address: parties[0]!.addresses.workerRegistry,
      abi: workerRegistryAbi,
      functionName: "register",
      args: [`0x${key.slice(4)}`, outsider.account.address, "0x"],
    };
    await expect(send(register)).rejects.toMatchObject({ code: "BadPubkey" });
    await expect(parties[1]!.register()).rejects.toMatchObject({ code: "AlreadyRegistered" });
  });
});
