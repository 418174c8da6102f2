import { JobPhase, listSeats } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { encodeFunctionData, keccak256, toHex, zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { LocalAccount } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";
import { workerRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import { signJobMessage } from "./chain/signatures.ts";
import type { JobMessageKind, JobMessages } from "./chain/signatures.ts";
import type { Chain } from "./chain/types.ts";
import { startTestChain, testKey, testMeta, testSpec } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { addPoints, encodePoints, generator } from "./test-curve.ts";
import type { Point } from "./test-curve.ts";
import { fundParties } from "./test-job.ts";
import {
  idOfWeights,
  proofTerms,
  startProofJob,
  verifierDescription,
  verifierInitcode,
  weightsOf,
} from "./test-proof-job.ts";

const SEATS = 256;
const LIMIT = 10_000_000n;
/** Enough for both jobs. */
const STAKES = 240n;
const everySeat = Array.from({ length: SEATS }, (_, seat) => seat);

let chain: TestChain;
let requester: Chain;
const accounts: readonly LocalAccount[] = everySeat.map((seat) => privateKeyToAccount(keccak256(toHex(seat + 1))));

/** Registers and stakes all workers; transactions are sent without waiting for each other. */
async function enrollWorkers(): Promise<void> {
  const { walletClient, publicClient, account } = await connect(chain.anvil.rpcUrl, testKey(0));
  const { workerRegistry, testToken } = requester.addresses;
  const types = {
    Register: [
      { name: "worker", type: "address" },
      { name: "payout", type: "address" },
      { name: "capsHash", type: "bytes32" },
    ],
  };
  let nonce = await publicClient.getTransactionCount({ address: account.address });
  const sent: Promise<Hex>[] = [];
  const send = (data: Hex) =>
    sent.push(
      walletClient.sendTransaction({
        to: workerRegistry,
        data,
        nonce: nonce++,
        gas: 500_000n,
        maxFeePerGas: 10n ** 10n,
        maxPriorityFeePerGas: 0n,
      }),
    );
  for (const worker of accounts) {
    const message = { worker: worker.address, payout: worker.address, capsHash: keccak256("0x") };
    const domain = { name: "SkyNet", version: "1", chainId: 31337, verifyingContract: workerRegistry };
    const signature = await worker.signTypedData({ domain, types, primaryType: "Register", message });
    const publicKey: Hex = `0x${worker.publicKey!.slice(4)}`;
    const registration = [publicKey, worker.address, "0x", signature] as const;
    send(encodeFunctionData({ abi: workerRegistryAbi, functionName: "registerFor", args: registration }));
    const stake = [testToken, worker.address, STAKES] as const;
    send(encodeFunctionData({ abi: workerRegistryAbi, functionName: "addStake", args: stake }));
  }
  const hashes = await Promise.all(sent);
  await publicClient.waitForTransactionReceipt({ hash: hashes.at(-1)! });
}

beforeAll(async () => {
  chain = await startTestChain(1);
  requester = chain.parties[0]!;
  await requester.mint(10n ** 9n);
  await requester.deposit(requester.addresses.testToken, 10n ** 9n);
  await enrollWorkers();
});
afterAll(() => chain.stop());

function signAll<Kind extends JobMessageKind>(seats: readonly number[], kind: Kind, message: JobMessages[Kind]) {
  const domain = { chainId: 31337, jobBoard: requester.addresses.jobBoard };
  return Promise.all(
    seats.map(async (seat) => ({
      seat,
      signature: await signJobMessage(accounts[seat]!, domain, kind, {
        ...message,
        ...(kind === "Accept" ? { worker: accounts[seat]!.address } : {}),
      }),
    })),
  );
}

/** Everybody joins and is ready. */
async function joinAll(jobId: Hex, gas: Record<string, bigint>): Promise<void> {
  for (let from = 0; from < SEATS; from += 64) {
    const seats = everySeat.slice(from, from + 64);
    const terms = { jobId, worker: requester.address, minPrice: 0n, expiry: 2n ** 40n, epoch: 0 };
    const signed = await signAll(seats, "Accept", terms);
    const list = signed.map(({ seat, signature }) => ({
      acceptance: { ...terms, worker: accounts[seat]!.address },
      signature,
    }));
    gas[`join of 64 from ${from}`] = (await requester.joinFor(jobId, list)).gasUsed;
  }
  const ready = await signAll(everySeat, "Ready", { jobId, keyRef: zeroHash });
  gas["ready of 256"] = (await requester.ready(jobId, zeroHash, ready)).gasUsed;
}

async function commitAll(jobId: Hex, seats: readonly number[], round: number, idOf: (seat: number) => Hex) {
  const list = await Promise.all(
    seats.map(async (seat) => {
      const message = { jobId, round, idEnd: idOf(seat), stepsRoot: zeroHash };
      return { ...message, ...(await signAll([seat], "Commit", message))[0]! };
    }),
  );
  return requester.commitFor(jobId, list);
}

test("256 seats: every transaction stays below ten million gas", async () => {
  const gas: Record<string, bigint> = {};
  const spec = testSpec(requester, { seats: SEATS, averaging: SEATS, minSeats: 100, rounds: 2 });
  const posted = await requester.post(spec, testMeta);
  const { jobId } = posted;
  gas.post = posted.receipt.gasUsed;

  await joinAll(jobId, gas);

  const commit = (seats: readonly number[], round: number) => commitAll(jobId, seats, round, () => zeroHash);
  gas["commit of 128, first half"] = (await commit(everySeat.slice(0, 128), 0)).gasUsed;
  gas["commit of 128, second half"] = (await commit(everySeat.slice(128), 0)).gasUsed;

  const received = 2n ** 256n - 1n;
  const rows = await signAll(everySeat, "Attest", { jobId, round: 0, received, idNext: zeroHash });
  gas["attest of 256"] = (
    await requester.attest(
      jobId,
      rows.map((row) => ({ ...row, received })),
    )
  ).gasUsed;
  const idNext = keccak256("0x01");
  const signatures = await signAll(everySeat, "Attest", { jobId, round: 0, received, idNext });
  gas["merge signed by 256"] = (await requester.merge(jobId, idNext, signatures)).gasUsed;

  await commit(everySeat.slice(0, 128), 1);
  await commit(everySeat.slice(128, 171), 1);
  await chain.advance(1_001);
  gas["tick that punishes 85"] = (await requester.tick(jobId)).gasUsed;
  expect((await requester.job(jobId)).state.phase).toBe(JobPhase.PROVE);
  gas.claim = (await requester.claim(jobId, 255, 1)).gasUsed;

  console.info("gas at 256 seats", gas);
  for (const [name, used] of Object.entries(gas)) expect(used, name).toBeLessThan(LIMIT);
});

test("256 seats in proof mode: draw and merge stay below ten million gas", async () => {
  const gas: Record<string, bigint> = {};
  const blocks = 4;
  const { verifierId } = await requester.deployVerifier(
    { ...verifierDescription, weightBlocks: blocks },
    verifierInitcode,
  );
  // different points for every seat, one addition each
  const points: Point[] = [generator];
  while (points.length < (SEATS + 1) * blocks) points.push(addPoints(points.at(-1)!, generator));
  const weights = (index: number) => points.slice(index * blocks, (index + 1) * blocks);
  // a price of nothing needs no stake, so that audits can be rare
  const free = { priceMin: 0n, priceMax: 0n, stake: 100n, missPenalty: 0n, auditBps: 1 };
  const size = { seats: SEATS, averaging: SEATS, minSeats: 100, rounds: 2 };
  const steps = { steps: 1, segment: 1, auditSteps: 1, modelId: idOfWeights(weights(SEATS)) };
  const terms = { ...proofTerms(requester, verifierId), ...free, ...size, ...steps };
  const { jobId } = await requester.post(testSpec(requester, terms), testMeta);
  await joinAll(jobId, {});
  for (const half of [everySeat.slice(0, 128), everySeat.slice(128)])
    gas[`commit of 128 from ${half[0]}`] = (
      await commitAll(jobId, half, 0, (seat) => idOfWeights(weights(seat)))
    ).gasUsed;
  await chain.advance(1);
  gas["draw of 256"] = (await requester.draw(jobId)).gasUsed;
  const received = 2n ** 256n - 1n;
  const rows = await signAll(everySeat, "Attest", { jobId, round: 0, received, idNext: zeroHash });
  await requester.attest(
    jobId,
    rows.map((row) => ({ ...row, received })),
  );
  // a seat that was drawn after all is slashed
  if ((await requester.job(jobId)).state.phase === JobPhase.PROVE) {
    await chain.advance(1_001);
    await requester.tick(jobId);
  }
  const { committed, slashed } = (await requester.job(jobId)).state;
  const updates = listSeats(committed & ~slashed).map((seat) => {
    const own = weights(seat);
    return { seat, idEnd: idOfWeights(own), stepsRoot: zeroHash, points: encodePoints(own) };
  });
  gas["merge of 256 x 4 points"] = (await requester.mergeProven(jobId, encodePoints(weights(SEATS)), updates)).gasUsed;
  console.info("gas at 256 seats in proof mode", gas);
  for (const [name, used] of Object.entries(gas)) expect(used, name).toBeLessThan(LIMIT);
});

test("four seats in proof mode", async () => {
  const small = await startTestChain(5);
  try {
    await fundParties(small.parties);
    const [first] = small.parties as [Chain];
    const gas: Record<string, bigint> = {};
    const description = { ...verifierDescription, weightBlocks: 7 };
    // returns true whatever it is given: what is left is the gas of the contracts around it
    const yes: Hex = `0x6020600c60003960206000f3600160005260206000f3${"00".repeat(22)}`;
    const deployed = await first.deployVerifier(description, yes);
    gas["registration of a verifier of 32 bytes"] = deployed.receipt!.gasUsed;
    const terms = { seats: 4, minSeats: 2, rounds: 3, steps: 32, segment: 1, auditSteps: 1, stake: 1_000n };
    const weights = {
      base: weightsOf("model", 7),
      of: (round: number, seat: number) => weightsOf(`round ${round} seat ${seat}`, 7),
    };
    const job = await startProofJob(small, { ...terms, stepVerifier: deployed.verifierId }, weights);
    for (const round of ["first", "second"]) {
      await job.commitWork([0, 1, 2]);
      const last = await job.work(3);
      const closing = await job.workers[3]!.commit(job.jobId, last.idEnd, last.stepsRoot);
      gas[`commit that closes, ${round} round`] = closing.gasUsed;
      await small.advance(1);
      gas[`draw of 4, ${round} round`] = (await first.draw(job.jobId)).gasUsed;
      for (let seat = 0; seat < 4; seat++) {
        const answer = await job.answer(seat, 0);
        const large = seat === 3;
        const proof: Hex = large ? `0x${"a5".repeat(14_000)}` : "0x";
        const proven = await first.prove(job.jobId, {
          ...answer,
          steps: answer.steps.map((step) => ({ ...step, proof })),
        });
        gas[`prove without verifier, ${large ? "14 kB" : "no"} proof, ${round} round`] = proven.gasUsed;
      }
      await job.attest([0, 1, 2, 3]);
      const updates = await job.updates([0, 1, 2, 3]);
      if (round === "first") {
        const undo = await small.checkpoint();
        gas["merge of 4 x 7 points"] = (await first.mergeProven(job.jobId, encodePoints(job.base()), updates)).gasUsed;
        await undo();
      }
      await job.mergeWork();
    }
    console.info("gas at 4 seats in proof mode", gas);
    for (const [name, used] of Object.entries(gas)) expect(used, name).toBeLessThan(1_000_000n);
  } finally {
    await small.stop();
  }
});
