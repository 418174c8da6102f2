import { ChainUnreachable } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import { BaseError, createPublicClient, formatLog, http, HttpRequestError } from "viem";
import type { Log, PublicClient, RpcLog } from "viem";
import type { IndexedBlock } from "../store/store.ts";

export interface Block extends IndexedBlock {
  readonly parentHash: string;
}

/** What the index asks of a chain. */
export interface ChainReader {
  readonly rpcUrl: string;
  readonly client: PublicClient;
  chainId(): Promise<number>;
  head(): Promise<Block>;
  /** Undefined when the chain has no block of this number. */
  block(number: number): Promise<Block | undefined>;
  /** Logs of all given contracts in a range, in the order of the chain. */
  logs(addresses: readonly Hex[], from: number, to: number): Promise<Log[]>;
}

/** Bytes of one answer: more than the logs of any one block. */
const MAX_ANSWER = 128 * 1024 * 1024;

const hexNumber = (value: number): Hex => `0x${value.toString(16)}`;

/** Whether nothing answered, as opposed to an answer that refuses. */
export const isDead = (error: unknown): boolean =>
  error instanceof BaseError &&
  error.walk((cause) => cause instanceof HttpRequestError && cause.status === undefined) !== null;

/** Whether asking for less may help: the endpoint refused the request, or needed too long. */
export const mayBeTooLarge = (error: unknown): boolean =>
  error instanceof BaseError &&
  !isDead(error) &&
  error.walk((cause) => cause instanceof HttpRequestError && cause.status === 429) === null;

interface RpcBlock {
  readonly number: Hex;
  readonly hash: Hex;
  readonly parentHash: Hex;
}

const asBlock = ({ number, hash, parentHash }: RpcBlock): Block => ({ number: Number(number), hash, parentHash });

/** @throws ChainUnreachable from every call, when nothing answers */
export function createChainReader(rpcUrl: string): ChainReader {
  const client = createPublicClient({
    transport: http(rpcUrl, { timeout: 30_000, retryCount: 2, retryDelay: 200, maxResponseBodySize: MAX_ANSWER }),
    cacheTime: 0,
  }) as PublicClient;
  const request = async (method: string, params: readonly unknown[]): Promise<unknown> => {
    try {
      return await client.request({ method, params } as never);
    } catch (error) {
      throw isDead(error) ? new ChainUnreachable(rpcUrl, error) : error;
    }
  };
  const getBlock = async (tag: string): Promise<Block | undefined> => {
    const block = (await request("eth_getBlockByNumber", [tag, false])) as RpcBlock | null;
    return block === null ? undefined : asBlock(block);
  };
  return {
    rpcUrl,
    client,
    chainId: async () => Number(await request("eth_chainId", [])),
    head: async () => {
      const head = await getBlock("latest");
      if (head === undefined) throw new ChainUnreachable(rpcUrl);
      return head;
    },
    block: (number) => getBlock(hexNumber(number)),
    logs: async (addresses, from, to) => {
      const filter = { address: addresses, fromBlock: hexNumber(from), toBlock: hexNumber(to) };
      const logs = (await request("eth_getLogs", [filter])) as RpcLog[];
      return logs
        .map((log) => formatLog(log))
        .sort((a, b) => Number(a.blockNumber) - Number(b.blockNumber) || Number(a.logIndex) - Number(b.logIndex));
    },
  };
}
