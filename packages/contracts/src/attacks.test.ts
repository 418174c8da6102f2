import { JobPhase } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import type { Abi } from "viem";
import { encodeFunctionData, keccak256, toHex, zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as BlacklistToken from "../generated/BlacklistToken.ts";
import * as Delegate from "../generated/Delegate.ts";
import * as FalseReturnToken from "../generated/FalseReturnToken.ts";
import * as FeeToken from "../generated/FeeToken.ts";
import * as NoReturnToken from "../generated/NoReturnToken.ts";
import * as ReentrantToken from "../generated/ReentrantToken.ts";
import { ledgerAbi, tokenAbi, workerRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import type { Connection } from "./chain/connection.ts";
import { signJobMessage } from "./chain/signatures.ts";
import type { JobMessages } from "./chain/signatures.ts";
import { createSender } from "./chain/transactions.ts";
import type { Call } from "./chain/transactions.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { fundParties, keyRef, modelAfter, postTestJob } from "./test-job.ts";

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

const accept = async (worker: Chain, jobId: Hex, change: Partial<JobMessages["Accept"]> = {}) => {
  const acceptance = { jobId, worker: worker.address, minPrice: 1n, expiry: 2n ** 40n, epoch: 0, ...change };
  return { acceptance, signature: await worker.signAccept(acceptance) };
};

describe("signatures", () => {
  test("anybody may send the wishes of workers", async () => {
    const job = await postTestJob(parties);
    await job.requester.joinFor(job.jobId, await Promise.all(job.workers.map((worker) => accept(worker, job.jobId))));
    expect((await job.view()).state.phase).toBe(JobPhase.READY);
  });

  test("expired and cancelled wishes are refused", async () => {
    const job = await postTestJob(parties);
    const worker = job.workers[0]!;
    const expired = await accept(worker, job.jobId, { expiry: 1n });
    await expect(job.requester.joinFor(job.jobId, [expired])).rejects.toMatchObject({ code: "SignatureExpired" });
    const old = await accept(worker, job.jobId);
    await worker.bumpEpoch();
    await expect(job.requester.joinFor(job.jobId, [old])).rejects.toMatchObject({ code: "WrongEpoch" });
    const dear = await accept(worker, job.jobId, { minPrice: 101n, epoch: 1 });
    await expect(job.requester.joinFor(job.jobId, [dear])).rejects.toMatchObject({ code: "PriceTooLow" });
  });

  test("a job with an admitter takes only admitted workers", async () => {
    const [requester, worker, other] = parties as [Chain, Chain, Chain];
    const job = await postTestJob(parties, { admitter: requester.address });
    const expiry = 2n ** 40n;
    const signature = await requester.signAdmit({ jobId: job.jobId, worker: worker.address, expiry });
    await expect(worker.join(job.jobId)).rejects.toMatchObject({ code: "BadAdmission" });
    const admission = { expiry, signature };
    await expect(other.join(job.jobId, { admission })).rejects.toMatchObject({ code: "BadSignature" });
    await worker.join(job.jobId, { admission });
  });

  test("a contract can admit workers", async () => {
    const { walletClient, publicClient } = outsider;
    const hash = await walletClient.deployContract({ abi: Delegate.abi, bytecode: Delegate.bytecode });
    const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash });
    const job = await postTestJob(parties, { admitter: contractAddress! });
    const [worker] = job.workers as [Chain];
    const admission = { expiry: 2n ** 40n, signature: toHex("no") };
    await expect(worker.join(job.jobId, { admission })).rejects.toMatchObject({ code: "BadSignature" });
    await worker.join(job.jobId, { admission: { ...admission, signature: toHex("let me in") } });
  });

  test("are bound to job, chain, board and round", async () => {
    const [first, second] = [await postTestJob(parties), await postTestJob(parties)];
    for (const job of [first, second]) await job.join();
    const { jobId } = second;
    const domain = { chainId: 31337, jobBoard: parties[0]!.addresses.jobBoard };
    const account = privateKeyToAccount(testKey(1));
    const ready = (at: typeof domain, id: Hex) => signJobMessage(account, at, "Ready", { jobId: id, keyRef });
    const foreign = {
      job: await ready(domain, first.jobId),
      chain: await ready({ ...domain, chainId: 534352 }, jobId),
      board: await ready({ ...domain, jobBoard: parties[0]!.addresses.ledger }, jobId),
      garbage: "0x1234" as Hex,
    };
    for (const [name, signature] of Object.entries(foreign)) {
      const sent = second.requester.ready(jobId, keyRef, [{ seat: 0, signature }]);
      await expect(sent, name).rejects.toMatchObject({ code: "BadSignature" });
    }
    const good = await ready(domain, jobId);
    await expect(second.requester.ready(jobId, keyRef, [{ seat: 1, signature: good }])).rejects.toMatchObject({
      code: "BadSignature",
    });
    await second.requester.ready(jobId, keyRef, [{ seat: 0, signature: good }]);

    await first.ready();
    const commit = { jobId: first.jobId, round: 0, idEnd: modelAfter(0), stepsRoot: zeroHash };
    const old = { ...commit, seat: 0, signature: await first.workers[0]!.signCommit(commit) };
    await first.round();
    await expect(first.requester.commitFor(first.jobId, [old])).rejects.toMatchObject({ code: "BadSignature" });
  });

  test("a commit counts for its round only, also behind the commit of a batch that ends the round", async () => {
    const job = await postTestJob(parties, { rounds: 3, maxFails: 3 });
    await job.join();
    await job.ready();
    const { jobId } = job;
    const signed = async (seat: number, round: number) => {
      const commit = { jobId, round, idEnd: modelAfter(seat), stepsRoot: zeroHash };
      return { ...commit, seat, signature: await job.workers[seat]!.signCommit(commit) };
    };
    for (const seat of [1, 2]) await job.workers[seat]!.abstain(jobId, 0);
    const before = await job.view();
    // the first commit leaves too few, which ends round 0 in the middle of the batch
    const stale = job.requester.commitFor(jobId, [await signed(0, 0), await signed(1, 0)]);
    await expect(stale).rejects.toMatchObject({ code: "BadSignature" });
    expect(await job.view()).toEqual(before);
    await job.requester.commitFor(jobId, [await signed(0, 0), await signed(1, 1)]);
    expect((await job.view()).state).toMatchObject({ phase: JobPhase.COMMIT, round: 1, fails: 1, committed: 2n });
  });

  test("one signature that does not count refuses a whole batch, which changes nothing", async () => {
    const job = await postTestJob(parties, { rounds: 3, maxFails: 3 });
    await job.join();
    await job.ready();
    const { jobId } = job;
    const signed = async (seat: number, change: { round?: number; signer?: number } = {}) => {
      const { round = 0, signer = seat } = change;
      const commit = { jobId, round, idEnd: modelAfter(seat), stepsRoot: zeroHash };
      return { ...commit, seat, signature: await job.workers[signer]!.signCommit(commit) };
    };
    const good = [await signed(0), await signed(1)];
    const before = await job.view();
    const refused: readonly (readonly [string, Awaited<ReturnType<typeof signed>>])[] = [
      ["BadSignature", await signed(2, { round: 1 })],
      ["BadSignature", await signed(2, { signer: 0 })],
      ["AlreadyCommitted", good[0]!],
      ["NotSeat", { ...good[0]!, seat: 3 }],
    ];
    for (const [code, bad] of refused)
      await expect(job.requester.commitFor(jobId, [...good, bad]), code).rejects.toMatchObject({ code });
    expect(await job.view()).toEqual(before);
    await job.requester.commitFor(jobId, good);
    expect((await job.view()).state.committed).toBe(3n);
  });

  test("abstentions, departures and attestations of another round count for nothing", async () => {
    const job = await postTestJob(parties, { rounds: 3, maxFails: 3 });
    await job.join();
    await job.ready();
    const { jobId, requester } = job;
    const worker = job.workers[0]!;
    const abstain = { seat: 0, signature: await worker.signAbstain({ jobId, round: 0 }) };
    const leave = { seat: 0, signature: await worker.signLeave({ jobId, round: 0 }) };
    const attest = async (round: number) =>
      Promise.all(
        job.workers.map(async (one, seat) => {
          const message = { jobId, round, received: 7n, idNext: zeroHash };
          return { seat, received: 7n, signature: await one.signAttest(message) };
        }),
      );
    const old = await attest(0);
    await job.round();
    await expect(requester.abstainFor(jobId, 0, abstain)).rejects.toMatchObject({ code: "WrongRound" });
    await expect(requester.abstainFor(jobId, 1, abstain)).rejects.toMatchObject({ code: "BadSignature" });
    await expect(requester.leaveFor(jobId, leave)).rejects.toMatchObject({ code: "BadSignature" });
    await job.commit();
    await expect(requester.attest(jobId, old)).rejects.toMatchObject({ code: "BadSignature" });
    // the phase comes before the signature
    await expect(requester.abstainFor(jobId, 1, abstain)).rejects.toMatchObject({ code: "WrongState" });
    await expect(requester.leaveFor(jobId, leave)).rejects.toMatchObject({ code: "WrongState" });
    const mixed = [...(await attest(1)).slice(0, 2), old[2]!];
    await expect(requester.attest(jobId, mixed)).rejects.toMatchObject({ code: "BadSignature" });
    await requester.attest(jobId, await attest(1));
    expect((await job.view()).state.phase).toBe(JobPhase.MERGE);
  });

  test("an attestation is no signature of a merge, and the reverse", async () => {
    const job = await postTestJob(parties, { rounds: 1 });
    await job.join();
    await job.ready();
    await job.commit();
    const signed = async (idNext: Hex) =>
      Promise.all(
        job.workers.map(async (worker, seat) => {
          const message = { jobId: job.jobId, round: 0, received: 7n, idNext };
          return { seat, received: 7n, signature: await worker.signAttest(message) };
        }),
      );
    const id = modelAfter(0);
    await expect(job.requester.attest(job.jobId, await signed(id))).rejects.toMatchObject({ code: "BadSignature" });
    await job.attest();
    const attestations = await signed(zeroHash);
    await expect(job.requester.merge(job.jobId, id, attestations)).rejects.toMatchObject({ code: "BadSignature" });
    await expect(job.requester.merge(job.jobId, zeroHash, attestations)).rejects.toMatchObject({ code: "ZeroId" });
  });

  test("plain signatures of an EIP-7702 account are accepted although its code refuses them", async () => {
    const job = await postTestJob(parties);
    const worker = job.workers[0]!;
    const { walletClient, publicClient } = outsider;
    const hash = await walletClient.deployContract({ abi: Delegate.abi, bytecode: Delegate.bytecode });
    const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash });
    const own = await connect(chain.anvil.rpcUrl, testKey(1));
    const authorization = await own.walletClient.signAuthorization({
      account: own.account,
      contractAddress: contractAddress!,
      executor: outsider.account,
    });
    const delegated = await walletClient.sendTransaction({
      authorizationList: [authorization],
      to: outsider.account.address,
    });
    await publicClient.waitForTransactionReceipt({ hash: delegated });
    expect(await publicClient.getCode({ address: worker.address })).toMatch(/^0xef0100/);
    await job.requester.joinFor(job.jobId, [await accept(worker, job.jobId)]);
    expect((await job.view()).state.workers).toEqual([worker.address]);
  });

  test("are recovered off chain", async () => {
    const [, worker] = parties as [Chain, Chain];
    const message = { jobId: keccak256(toHex("job")), round: 3, idEnd: modelAfter(0), stepsRoot: zeroHash };
    const signature = await worker.signCommit(message);
    expect(await parties[0]!.recoverCommit(message, signature)).toBe(worker.address);
    expect(await parties[0]!.recoverCommit({ ...message, round: 4 }, signature)).not.toBe(worker.address);
    await expect(parties[0]!.recoverCommit(message, "0x00")).rejects.toMatchObject({ code: "BadSignature" });
  });
});
