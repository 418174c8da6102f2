import { countSeats, budgetOf } from "@skynet/protocol";
import type { Hex, JobSpec } from "@skynet/protocol";
import type { ContractEventArgsFromTopics, ContractEventName, Log } from "viem";
import { encodeEventTopics, parseEventLogs } from "viem";
import { lower } from "../deployment/addresses.ts";
import type { SkyNetAddresses } from "../deployment/addresses.ts";
import { jobBoardAbi, workerRegistryAbi } from "./abi.ts";
import type { Connection } from "./connection.ts";

type JobEventName = Exclude<ContractEventName<typeof jobBoardAbi>, "EIP712DomainChanged">;

/** An event of the JobBoard, decoded and checked against the ABI. Addresses inside `args` are lower-case. */
export type ChainJobEvent = {
  [Name in JobEventName]: {
    readonly name: Name;
    readonly jobId: Hex;
    readonly args: Readonly<ContractEventArgsFromTopics<typeof jobBoardAbi, Name>>;
  } & EventPlace;
}[JobEventName];

export interface BlockRange {
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

interface EventRange extends BlockRange {
  /** Only this job. */
  readonly jobId?: Hex | undefined;
}

/** Where an event is in the chain. */
export interface EventPlace {
  readonly blockNumber: bigint;
  readonly logIndex: number;
  readonly transactionHash: Hex;
}

/** Blocks per request, so that public endpoints with a limit answer. */
const BLOCKS_PER_REQUEST = 5_000n;

const isAddress = (value: unknown): value is Hex => typeof value === "string" && /^0x[0-9a-fA-F]{40}$/.test(value);

/** Addresses in lower case, at any depth: one spelling makes them comparable. */
export function lowerAddresses<Value>(value: Value): Value {
  if (isAddress(value)) return lower(value) as Value;
  if (Array.isArray(value)) return value.map(lowerAddresses) as Value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, lowerAddresses(item)])) as Value;
}

/** Logs of one contract, in pieces that public endpoints answer. */
export async function readLogs(
  { publicClient, reach }: Connection,
  address: Hex,
  topics: readonly (Hex | readonly Hex[] | null)[],
  { fromBlock, toBlock }: BlockRange,
): Promise<Log[]> {
  const logs: Log[] = [];
  for (let from = fromBlock; from <= toBlock; from += BLOCKS_PER_REQUEST) {
    const last = from + BLOCKS_PER_REQUEST - 1n;
    const to = last < toBlock ? last : toBlock;
    const part = await reach(() =>
      publicClient.request({
        method: "eth_getLogs",
        params: [{ address, topics: [...topics], fromBlock: hexNumber(from), toBlock: hexNumber(to) }] as never,
      }),
    );
    logs.push(...(part as unknown as Log[]));
  }
  return logs;
}

const hexNumber = (value: bigint): Hex => `0x${value.toString(16)}`;

/** Raw logs carry numbers as hexadecimal text. */
export function placeOf(log: Pick<Log, "blockNumber" | "logIndex" | "transactionHash">): EventPlace {
  return {
    blockNumber: BigInt(log.blockNumber ?? 0n),
    logIndex: Number(log.logIndex),
    transactionHash: log.transactionHash as Hex,
  };
}

/** Events of the JobBoard in a range of blocks, in the order of the chain. What does not decode is left out. */
export async function readJobEvents(
  connection: Connection,
  addresses: SkyNetAddresses,
  range: EventRange,
): Promise<ChainJobEvent[]> {
  const logs = await readLogs(connection, addresses.jobBoard, [null, range.jobId ?? null], range);
  const own = logs.filter((log) => lower(log.address) === addresses.jobBoard);
  return parseEventLogs({ abi: jobBoardAbi, logs: own, strict: true }).flatMap((log) => {
    if (log.eventName === "EIP712DomainChanged") return [];
    return [
      {
        name: log.eventName,
        jobId: log.args.jobId,
        args: lowerAddresses(log.args),
        ...placeOf(log),
      } as ChainJobEvent,
    ];
  });
}

/** Units that left the stakes of a job for nobody. */
export async function readBurnedStake(
  connection: Connection,
  addresses: SkyNetAddresses,
  range: EventRange & { readonly jobId: Hex },
): Promise<bigint> {
  const topics = encodeEventTopics({ abi: workerRegistryAbi, eventName: "Slashed", args: { jobId: range.jobId } });
  const logs = await readLogs(connection, addresses.workerRegistry, topics as (Hex | null)[], range);
  return parseEventLogs({ abi: workerRegistryAbi, eventName: "Slashed", logs, strict: true }).reduce(
    (sum, log) => sum + log.args.amount,
    0n,
  );
}

/** Public key of a worker from the event of its registration block. */
export async function readPublicKey(
  connection: Connection,
  addresses: SkyNetAddresses,
  worker: Hex,
  block: bigint,
): Promise<Hex | undefined> {
  const topics = encodeEventTopics({ abi: workerRegistryAbi, eventName: "Registered", args: { worker } });
  const range = { fromBlock: block, toBlock: block };
  const logs = await readLogs(connection, addresses.workerRegistry, topics as (Hex | null)[], range);
  return parseEventLogs({ abi: workerRegistryAbi, eventName: "Registered", logs, strict: true })[0]?.args.publicKey;
}

/**
 * Where the money of a job went, in units of its token. At the end, when every seat has claimed,
 * `budget = paid + refunded + burned`; before, the rest is in the escrow.
 */
export interface JobMoney {
  readonly budget: bigint;
  /** Claims, released holds and merge fees. */
  readonly paid: bigint;
  readonly refunded: bigint;
  /** Held pay that a complaint burned. */
  readonly burned: bigint;
  /** budget - paid - refunded - burned. */
  readonly escrow: bigint;
  /** Penalties and slashes; stakes are no part of the budget. */
  readonly stakeBurned: bigint;
  /** Merged rounds and worker rounds that were paid, for bills. */
  readonly mergedRounds: number;
  readonly paidWorkerRounds: number;
}

/** Sums the events of one job. */
export function sumMoney(spec: JobSpec, events: readonly ChainJobEvent[], stakeBurned: bigint): JobMoney {
  let [paid, refunded, burned] = [0n, 0n, 0n];
  let [mergedRounds, paidWorkerRounds] = [0, 0];
  for (const event of events) {
    if (event.name === "Claimed" || event.name === "HoldClaimed") paid += event.args.amount;
    if (event.name === "RoundEnded") paidWorkerRounds += countSeats(event.args.paidCompute);
    if (event.name === "Merged") {
      paid += event.args.fee;
      mergedRounds++;
    }
    if (event.name === "Settled") {
      refunded += event.args.refund;
      burned += event.args.holdBurned;
    }
  }
  const budget = budgetOf(spec);
  const escrow = budget - paid - refunded - burned;
  return { budget, paid, refunded, burned, escrow, stakeBurned, mergedRounds, paidWorkerRounds };
}
