import { JobPhase } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { keccak256, toHex, zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Delegate from "../generated/Delegate.ts";
import { connect } from "./chain/connection.ts";
import type { Connection } from "./chain/connection.ts";
import { signJobMessage } from "./chain/signatures.ts";
import type { JobMessages } from "./chain/signatures.ts";
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

const accept = async (worker: Chain, jobId: Hex, change: Partial<JobMessages["Accept"]> = {}) => {
  const acceptance = { jobId, worker: worker.address, minPrice: 1n, expiry: 2n ** 40n, epoch: 0, ...change };
  return { acceptance, signature: await worker.signAccept(acceptance) };
};

describe("signatures of a job's parties", () => {
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
