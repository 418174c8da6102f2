import type { Hex, JobSpec } from "@skynet/protocol";
import { createTestClient, http, keccak256, stringToBytes, toHex, zeroAddress, zeroHash } from "viem";
import { startAnvil } from "./anvil.ts";
import type { Anvil } from "./anvil.ts";
import { createChain } from "./chain/create.ts";
import type { Chain } from "./chain/types.ts";

/** Enough gas money for every test, in wei. */
const RICH = 10n ** 24n;

/** Key of party `index` in tests. */
export function testKey(index: number): Hex {
  return keccak256(stringToBytes(`skynet test party ${index}`));
}

export interface TestChain {
  readonly anvil: Anvil;
  /** Funded accounts: 0 is the requester, workers follow; all have test tokens in the Ledger. */
  readonly parties: readonly Chain[];
  /** Lets seconds pass and mines a block. */
  advance(seconds: number): Promise<void>;
  /** Mines a block with this timestamp; the next transaction gets the same one. */
  jumpTo(timestamp: number): Promise<void>;
  /** From here on everything can be undone by the function that this returns. */
  checkpoint(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

/** A chain that mines at once, with the contracts and `count` parties; in memory unless there is a folder for it. */
export async function startTestChain(count: number, dataDir?: string): Promise<TestChain> {
  const anvil = await startAnvil({
    ...(dataDir === undefined ? {} : { dataDir }),
    blockTimeSeconds: 0,
    extraArguments: ["--gas-limit", "1000000000"],
  });
  const rpc = createTestClient({ mode: "anvil", transport: http(anvil.rpcUrl) });
  const open = async (index: number) => {
    const chain = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: testKey(index) });
    await anvil.setBalance(chain.address, RICH);
    return chain;
  };
  const parties: Chain[] = [];
  for (let index = 0; index < count; index++) parties.push(await open(index));
  await parties[0]!.deploy();
  return {
    anvil,
    parties,
    advance: async (seconds) => {
      await rpc.increaseTime({ seconds });
      await rpc.mine({ blocks: 1 });
    },
    jumpTo: async (timestamp) => {
      await rpc.setNextBlockTimestamp({ timestamp: BigInt(timestamp) });
      await rpc.mine({ blocks: 1 });
      await rpc.setNextBlockTimestamp({ timestamp: BigInt(timestamp) });
    },
    checkpoint: async () => {
      const id = await rpc.snapshot();
      return () => rpc.revert({ id });
    },
    stop: () => anvil.stop(),
  };
}

export const testMeta = stringToBytes("a job of the tests");

/** Terms of a quorum-mode job; windows of 1000 seconds, price 100, stake 120. */
export function testSpec(requester: Chain, change: Partial<JobSpec> = {}): JobSpec {
  const window = 1_000;
  return {
    requester: requester.address,
    seats: 3,
    minSeats: 2,
    rounds: 2,
    maxFails: 2,
    mode: 0,
    auditSteps: 1,
    steps: 8,
    token: requester.addresses.testToken,
    auditBps: 0,
    deliveryBps: 2_000,
    holdBps: 500,
    deadline: 0,
    joinWindow: window,
    readyWindow: window,
    commitWindow: window,
    drawWindow: window,
    proveWindow: window,
    mergeWindow: window,
    deliverWindow: window,
    segment: 1,
    averaging: 4,
    priceMin: 100n,
    priceMax: 100n,
    stake: 120n,
    missPenalty: 5n,
    mergeFee: 7n,
    nBatches: 60n,
    workUnits: 1_000n,
    stepVerifier: zeroHash,
    modelId: keccak256(toHex("model")),
    dataRoot: keccak256(toHex("data")),
    admitter: zeroAddress,
    beacon: zeroAddress,
    metaHash: keccak256(testMeta),
    ...change,
  };
}
