import { BlockNotFoundError } from "viem";
import { fromHex, jobIdOf, jobSpecHash } from "@skynet/protocol";
import type { Hex, JobSpec, JobView } from "@skynet/protocol";
import { lower } from "../deployment/addresses.ts";
import type { SkyNetAddresses } from "../deployment/addresses.ts";
import { ChainError } from "../errors.ts";
import { jobBoardAbi, ledgerAbi, tokenAbi, workerRegistryAbi } from "./abi.ts";
import type { Connection } from "./connection.ts";
import { lowerAddresses, readBurnedStake, readJobEvents, readPublicKey, sumMoney } from "./events.ts";
import type { Chain } from "./types.ts";
import type { ChainBalances, ChainJob, ChainWorker } from "./records.ts";

export interface ReadContext {
  readonly connection: Connection;
  readonly addresses: SkyNetAddresses;
  readonly chainId: number;
  readonly address: Hex;
  /** First block that can hold events of the contracts. */
  readonly firstBlock: bigint;
}

type Reads = Pick<
  Chain,
  | "now"
  | "blockNumber"
  | "blockHash"
  | "gasBalance"
  | "gasPrice"
  | "job"
  | "jobIds"
  | "meta"
  | "priceAt"
  | "commitHash"
  | "worker"
  | "reputation"
  | "balances"
  | "nextJobId"
  | "events"
  | "money"
>;

async function readJob({ connection, addresses }: ReadContext, jobId: Hex): Promise<ChainJob> {
  const [spec, view] = await connection.reach(() =>
    connection.publicClient.readContract({
      address: addresses.jobBoard,
      abi: jobBoardAbi,
      functionName: "viewJob",
      args: [jobId],
    }),
  );
  if (view.phase === 0) throw new ChainError("UnknownJob", [jobId]);
  const { modelId, batchSeed, ticket, seed, ...state } = lowerAddresses(view);
  return { jobId, spec: lowerAddresses(spec) as JobSpec, state: state as JobView, modelId, batchSeed, ticket, seed };
}

async function readWorker(context: ReadContext, worker: Hex): Promise<ChainWorker> {
  const { connection, addresses } = context;
  const address = lower(worker);
  const [payout, since, epoch] = await connection.reach(() =>
    connection.publicClient.readContract({
      address: addresses.workerRegistry,
      abi: workerRegistryAbi,
      functionName: "workers",
      args: [address],
    }),
  );
  if (BigInt(payout) === 0n) return { address, registered: false, publicKey: undefined, payout: undefined, epoch };
  const publicKey = await readPublicKey(connection, addresses, address, BigInt(since));
  return { address, registered: true, publicKey, payout: lower(payout), epoch };
}

async function readBalances({ connection, addresses }: ReadContext, token: Hex, owner: Hex): Promise<ChainBalances> {
  const { publicClient, reach } = connection;
  const registry = { address: addresses.workerRegistry, abi: workerRegistryAbi, args: [owner, token] } as const;
  const [wallet, ledger, [freeStake, lockedStake], [leavingStake]] = await reach(() =>
    Promise.all([
      publicClient.readContract({ address: token, abi: tokenAbi, functionName: "balanceOf", args: [owner] }),
      publicClient.readContract({
        address: addresses.ledger,
        abi: ledgerAbi,
        functionName: "balanceOf",
        args: [token, owner],
      }),
      publicClient.readContract({ ...registry, functionName: "stakes" }),
      publicClient.readContract({ ...registry, functionName: "exits" }),
    ]),
  );
  return { wallet, ledger, freeStake, lockedStake, leavingStake };
}

/** The reading half of a {@link Chain}. */
export function createReads(context: ReadContext): Reads {
  const { connection, addresses, chainId, address, firstBlock } = context;
  const { publicClient, reach } = connection;
  const board = { address: addresses.jobBoard, abi: jobBoardAbi } as const;
  const blockNumber = () => reach(() => publicClient.getBlockNumber());
  const events: Reads["events"] = async ({ jobId, fromBlock = firstBlock, toBlock } = {}) =>
    readJobEvents(connection, addresses, { jobId, fromBlock, toBlock: toBlock ?? (await blockNumber()) });
  const posted = async (jobId: Hex) => {
    const found = (await events({ jobId })).find((event) => event.name === "JobPosted");
    if (found === undefined) throw new ChainError("UnknownJob", [jobId]);
    return found;
  };

  return {
    blockNumber,
    blockHash: async (number) => {
      try {
        const { hash } = await reach(() => publicClient.getBlock({ blockNumber: number }));
        return hash as Hex;
      } catch (error) {
        throw error instanceof BlockNotFoundError ? new ChainError("UnknownBlock", [number], error) : error;
      }
    },
    events,
    now: async () => Number((await reach(() => publicClient.getBlock())).timestamp),
    gasBalance: (owner = address) => reach(() => publicClient.getBalance({ address: owner })),
    gasPrice: () => reach(() => publicClient.getGasPrice()),
    job: (jobId) => readJob(context, jobId),
    jobIds: async ({ fromBlock = firstBlock, requester } = {}) => {
      const all = await events({ fromBlock });
      const owner = requester === undefined ? undefined : lower(requester);
      return all
        .filter((event) => event.name === "JobPosted")
        .filter(({ args }) => owner === undefined || args.requester === owner)
        .map(({ jobId }) => jobId);
    },
    meta: async (jobId) => fromHex((await posted(jobId)).args.meta),
    priceAt: async (jobId, at) => {
      const time = at ?? Number((await reach(() => publicClient.getBlock())).timestamp);
      return reach(() => publicClient.readContract({ ...board, functionName: "priceAt", args: [jobId, BigInt(time)] }));
    },
    commitHash: (jobId, seat) =>
      reach(() => publicClient.readContract({ ...board, functionName: "commitHash", args: [jobId, BigInt(seat)] })),
    worker: (worker) => readWorker(context, worker),
    reputation: async (worker) => {
      const [roundsPaid, roundsMissed, proofs, slashes, jobs] = await reach(() =>
        publicClient.readContract({
          address: addresses.workerRegistry,
          abi: workerRegistryAbi,
          functionName: "scores",
          args: [worker],
        }),
      );
      return { roundsPaid, roundsMissed, proofs, slashes, jobs };
    },
    balances: (token, owner = address) => readBalances(context, token, owner),
    nextJobId: async (spec) => {
      const nonce = await reach(() => publicClient.readContract({ ...board, functionName: "nonces", args: [address] }));
      const specHash = jobSpecHash(spec);
      return jobIdOf({ chainId, jobBoard: addresses.jobBoard, requester: address, nonce, specHash });
    },
    money: async (jobId) => {
      const { spec } = await readJob(context, jobId);
      const range = { jobId, fromBlock: firstBlock, toBlock: await blockNumber() };
      const burned = await readBurnedStake(connection, addresses, range);
      return sumMoney(spec, await readJobEvents(connection, addresses, range), burned);
    },
  };
}
