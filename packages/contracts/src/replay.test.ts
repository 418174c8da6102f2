// Every signature of a job counts for one signer, one message, one job, one round, one contract and one chain.
import { JobPhase } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { keccak256, zeroHash } from "viem";
import type { LocalAccount } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { workerRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import { signJobMessage } from "./chain/signatures.ts";
import type { JobMessageKind, JobMessages } from "./chain/signatures.ts";
import { createSender } from "./chain/transactions.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { fundParties, keyRef, modelAfter, postTestJob } from "./test-job.ts";
import type { TestJob } from "./test-job.ts";

let chain: TestChain;
let parties: readonly Chain[];
/** The job that signatures are for, and one like it. */
let job: TestJob;
let twin: TestJob;

const signer = privateKeyToAccount(testKey(1));
const other = privateKeyToAccount(testKey(2));

beforeAll(async () => {
  chain = await startTestChain(4);
  parties = chain.parties;
  await fundParties(parties);
  const admitter = parties[0]!.address;
  job = await postTestJob(parties, { admitter, rounds: 3, maxFails: 3 });
  twin = await postTestJob(parties, { admitter, rounds: 3, maxFails: 3 });
});
afterAll(() => chain.stop());

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const hex = (value: bigint) => value.toString(16).padStart(64, "0");

/** The other signature of the same message that the curve has. */
function malleate(signature: Hex): Hex {
  const s = ORDER - BigInt(`0x${signature.slice(66, 130)}`);
  return `${signature.slice(0, 66)}${hex(s)}${signature.endsWith("1b") ? "1c" : "1b"}` as Hex;
}

/** Signatures that are for something else, by name. */
async function replays<Kind extends JobMessageKind>(
  account: LocalAccount,
  kind: Kind,
  message: JobMessages[Kind],
): Promise<[string, Hex][]> {
  const domain = { chainId: 31337, jobBoard: parties[0]!.addresses.jobBoard };
  const sign = (change: Partial<JobMessages[Kind]>, at = domain, by = account) =>
    signJobMessage(by, at, kind, { ...message, ...change });
  const round = "round" in message ? [message.round + 1, message.round + 7] : [];
  return [
    ["another chain", await sign({}, { ...domain, chainId: 534_352 })],
    ["another contract", await sign({}, { ...domain, jobBoard: parties[0]!.addresses.workerRegistry })],
    ["another job", await sign({ jobId: twin.jobId } as never)],
    ["another signer", await sign({}, domain, account === other ? signer : other)],
    ["malleated", malleate(await sign({}))],
    ["cut", (await sign({})).slice(0, -2) as Hex],
    ["empty", "0x"],
    ...(await Promise.all(
      round.map(async (one): Promise<[string, Hex]> => [`round ${one}`, await sign({ round: one } as never)]),
    )),
  ];
}

/** None of the replays counts or changes anything; then the right signature does, once. */
async function check<Kind extends JobMessageKind>(
  kind: Kind,
  message: JobMessages[Kind],
  send: (signature: Hex) => Promise<unknown>,
  again: string | undefined,
  account: LocalAccount = signer,
): Promise<void> {
  const before = await job.view();
  for (const [name, signature] of await replays(account, kind, message))
    await expect(send(signature), `${kind} of ${name}`).rejects.toMatchObject({ code: "BadSignature" });
  expect(await job.view()).toEqual(before);
  const domain = { chainId: 31337, jobBoard: parties[0]!.addresses.jobBoard };
  const right = await signJobMessage(account, domain, kind, message);
  await send(right);
  if (again !== undefined) await expect(send(right), `${kind} again`).rejects.toMatchObject({ code: again });
}

test("a wish to join, and an admission", async () => {
  const { jobId, requester } = job;
  const [worker, second] = job.workers as [Chain, Chain];
  const expiry = 2n ** 40n;
  const admit = { jobId, worker: worker.address, expiry };
  const admission = { expiry, signature: await requester.signAdmit(admit) };
  const accept = { jobId, worker: worker.address, minPrice: 1n, expiry, epoch: 0 };
  const send = (signature: Hex) => requester.joinFor(jobId, [{ acceptance: accept, signature, admission }]);
  for (const change of [{ minPrice: 2n }, { expiry: expiry + 1n }, { epoch: 1 }]) {
    const signature = await worker.signAccept({ ...accept, ...change });
    await expect(send(signature), JSON.stringify(Object.keys(change))).rejects.toMatchObject({ code: "BadSignature" });
  }
  await check("Accept", accept, send, "AlreadyJoined");
  const admitter = privateKeyToAccount(testKey(0));
  const own = { jobId, worker: second.address, expiry };
  const join = (signature: Hex) => second.join(jobId, { admission: { expiry, signature } });
  const expired = await requester.signAdmit({ ...own, expiry: 1n });
  const late = second.join(jobId, { admission: { expiry: 1n, signature: expired } });
  await expect(late).rejects.toMatchObject({ code: "BadAdmission" });
  // the admission of somebody else
  await expect(join(admission.signature)).rejects.toMatchObject({ code: "BadSignature" });
  await check("Admit", own, join, "AlreadyJoined", admitter);
});

test("readiness, commitments, abstentions and departures", async () => {
  for (const one of [job, twin]) {
    const { workers } = (await one.view()).state;
    for (const worker of one.workers.filter(({ address }) => !workers.includes(address))) {
      const admit = { jobId: one.jobId, worker: worker.address, expiry: 2n ** 40n };
      const signature = await one.requester.signAdmit(admit);
      await worker.join(one.jobId, { admission: { expiry: admit.expiry, signature } });
    }
  }
  const { jobId, requester } = job;
  await check(
    "Ready",
    { jobId, keyRef },
    (s) => requester.ready(jobId, keyRef, [{ seat: 0, signature: s }]),
    undefined,
  );
  await job.ready([1, 2]);
  await twin.ready();
  const commit = { jobId, round: 0, idEnd: modelAfter(0), stepsRoot: zeroHash };
  await check(
    "Commit",
    commit,
    (s) => requester.commitFor(jobId, [{ ...commit, seat: 0, signature: s }]),
    "AlreadyCommitted",
  );
  const abstain = { jobId, round: 0 };
  const skip = (s: Hex) => requester.abstainFor(jobId, 0, { seat: 1, signature: s });
  await check("Abstain", abstain, skip, "AlreadyAbstained", other);
  await job.commit([2]);
  expect((await job.view()).state.phase).toBe(JobPhase.PROVE);
});

test("attestations, merges, and a departure in the next round", async () => {
  const { jobId, requester } = job;
  const message = { jobId, round: 0, received: 5n, idNext: zeroHash };
  const third = { seat: 2, received: 5n, signature: await job.workers[2]!.signAttest(message) };
  const attest = (s: Hex) => requester.attest(jobId, [{ seat: 0, received: 5n, signature: s }, third]);
  await check("Attest", message, attest, "WrongState");
  const next = { ...message, idNext: modelAfter(0) };
  const own = { seat: 2, signature: await job.workers[2]!.signAttest(next) };
  const merge = (s: Hex) => requester.merge(jobId, next.idNext, [{ seat: 0, signature: s }, own]);
  await check("Attest", next, merge, "WrongState");
  const leave = (s: Hex) => requester.leaveFor(jobId, { seat: 0, signature: s });
  await check("Leave", { jobId, round: 1 }, leave, "NotSeat");
});

test("a registration", async () => {
  const { addresses } = parties[0]!;
  const newcomer = privateKeyToAccount(testKey(50));
  const payout = parties[3]!.address;
  const send = createSender(await connect(chain.anvil.rpcUrl, testKey(0)));
  const types = {
    Register: [
      { name: "worker", type: "address" },
      { name: "payout", type: "address" },
      { name: "capsHash", type: "bytes32" },
    ],
  } as const;
  const sign = (change: { chainId?: number; contract?: Hex; payout?: Hex; by?: LocalAccount } = {}) =>
    (change.by ?? newcomer).signTypedData({
      domain: {
        name: "SkyNet",
        version: "1",
        chainId: change.chainId ?? 31337,
        verifyingContract: change.contract ?? addresses.workerRegistry,
      },
      types,
      primaryType: "Register",
      message: { worker: newcomer.address, payout: change.payout ?? payout, capsHash: keccak256("0x") },
    });
  const register = (signature: Hex) =>
    send({
      address: addresses.workerRegistry,
      abi: workerRegistryAbi,
      functionName: "registerFor",
      args: [`0x${newcomer.publicKey.slice(4)}`, payout, "0x", signature],
    });
  const wrong = [{ chainId: 1 }, { contract: addresses.jobBoard }, { payout: parties[2]!.address }, { by: other }];
  for (const change of wrong)
    await expect(register(await sign(change))).rejects.toMatchObject({ code: "BadSignature" });
  await expect(register(malleate(await sign()))).rejects.toMatchObject({ code: "BadSignature" });
  await register(await sign());
  await expect(register(await sign())).rejects.toMatchObject({ code: "AlreadyRegistered" });
});
