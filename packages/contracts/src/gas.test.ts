import { JobPhase } from "@skynet/protocol";
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

const SEATS = 256;
const LIMIT = 10_000_000n;
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
    const stake = [testToken, worker.address, 120n] as const;
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

test("256 seats: every transaction stays below ten million gas", async () => {
  const gas: Record<string, bigint> = {};
  const spec = testSpec(requester, { seats: SEATS, averaging: SEATS, minSeats: 100, rounds: 2 });
  const posted = await requester.post(spec, testMeta);
  const { jobId } = posted;
  gas.post = posted.receipt.gasUsed;

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

  const commit = async (seats: readonly number[], round: number) => {
    const terms = { jobId, round, idEnd: zeroHash, stepsRoot: zeroHash };
    const signed = await signAll(seats, "Commit", terms);
    return requester.commitFor(
      jobId,
      signed.map((one) => ({ ...terms, ...one })),
    );
  };
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
