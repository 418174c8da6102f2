// 256 workers that sign, and one account that sends for all of them.
import type { Hex } from "@skynet/protocol";
import { encodeFunctionData, keccak256, toHex, zeroHash } from "viem";
import type { LocalAccount } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { workerRegistryAbi } from "../chain/abi.ts";
import { connect } from "../chain/connection.ts";
import { signJobMessage } from "../chain/signatures.ts";
import type { JobMessageKind, JobMessages } from "../chain/signatures.ts";
import type { Chain } from "../chain/types.ts";
import { testKey } from "../test-chain.ts";
import type { TestChain } from "../test-chain.ts";

export const SEATS = 256;
export const everySeat = Array.from({ length: SEATS }, (_, seat) => seat);
/** Stake of each worker: enough for four jobs. */
const STAKES = 500n;

export interface Call {
  readonly to: Hex;
  readonly data: Hex;
}

/** Sends calls of party 0 without waiting for each other, which is quicker by far than one after the other. */
export async function sendAll(chain: TestChain, calls: readonly Call[], gas: bigint): Promise<void> {
  const { walletClient, publicClient, account } = await connect(chain.anvil.rpcUrl, testKey(0));
  let nonce = await publicClient.getTransactionCount({ address: account.address });
  const price = { maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 0n };
  const hashes = await Promise.all(
    calls.map((call) => walletClient.sendTransaction({ ...call, nonce: nonce++, gas, ...price })),
  );
  const { status } = await publicClient.waitForTransactionReceipt({ hash: hashes.at(-1)! });
  if (status !== "success") throw new Error("the last of many transactions failed");
}

export class Crowd {
  readonly requester: Chain;
  readonly accounts: readonly LocalAccount[] = everySeat.map((seat) => privateKeyToAccount(keccak256(toHex(seat + 1))));
  readonly #domain: { readonly chainId: number; readonly jobBoard: Hex };

  constructor(requester: Chain) {
    this.requester = requester;
    this.#domain = { chainId: requester.chainId, jobBoard: requester.addresses.jobBoard };
  }

  /** Registers and stakes everybody. */
  async enroll(chain: TestChain): Promise<void> {
    const { workerRegistry, testToken } = this.requester.addresses;
    await this.requester.mint(10n ** 9n);
    await this.requester.deposit(testToken, 10n ** 9n);
    const types = {
      Register: [
        { name: "worker", type: "address" },
        { name: "payout", type: "address" },
        { name: "capsHash", type: "bytes32" },
      ],
    };
    const domain = { name: "SkyNet", version: "1", chainId: this.#domain.chainId, verifyingContract: workerRegistry };
    const calls = this.accounts.map(async (worker): Promise<Call[]> => {
      const message = { worker: worker.address, payout: worker.address, capsHash: keccak256("0x") };
      const signature = await worker.signTypedData({ domain, types, primaryType: "Register", message });
      const publicKey: Hex = `0x${worker.publicKey!.slice(4)}`;
      const registration = [publicKey, worker.address, "0x", signature] as const;
      const stake = [testToken, worker.address, STAKES] as const;
      return [
        encodeFunctionData({ abi: workerRegistryAbi, functionName: "registerFor", args: registration }),
        encodeFunctionData({ abi: workerRegistryAbi, functionName: "addStake", args: stake }),
      ].map((data) => ({ to: workerRegistry, data }));
    });
    await sendAll(chain, (await Promise.all(calls)).flat(), 500_000n);
  }

  sign<Kind extends JobMessageKind>(seat: number, kind: Kind, message: JobMessages[Kind]): Promise<Hex> {
    const own = kind === "Accept" ? { ...message, worker: this.accounts[seat]!.address } : message;
    return signJobMessage(this.accounts[seat]!, this.#domain, kind, own);
  }

  signAll<Kind extends JobMessageKind>(seats: readonly number[], kind: Kind, message: JobMessages[Kind]) {
    return Promise.all(seats.map(async (seat) => ({ seat, signature: await this.sign(seat, kind, message) })));
  }

  /** Signed wishes to join of these workers. */
  async acceptances(jobId: Hex, seats: readonly number[]) {
    const terms = { jobId, worker: this.requester.address, minPrice: 0n, expiry: 2n ** 40n, epoch: 0 };
    const signed = await this.signAll(seats, "Accept", terms);
    return signed.map(({ seat, signature }) => ({
      acceptance: { ...terms, worker: this.accounts[seat]!.address },
      signature,
    }));
  }

  ready(jobId: Hex, seats: readonly number[]) {
    return this.signAll(seats, "Ready", { jobId, keyRef: zeroHash });
  }

  commitments(jobId: Hex, seats: readonly number[], round: number, idOf: (seat: number) => Hex) {
    return Promise.all(
      seats.map(async (seat) => {
        const message = { jobId, round, idEnd: idOf(seat), stepsRoot: zeroHash };
        return { ...message, seat, signature: await this.sign(seat, "Commit", message) };
      }),
    );
  }

  /** Everybody has received everything. */
  async bitmaps(jobId: Hex, seats: readonly number[], round: number, received = 2n ** 256n - 1n) {
    const rows = await this.signAll(seats, "Attest", { jobId, round, received, idNext: zeroHash });
    return rows.map((row) => ({ ...row, received }));
  }
}
