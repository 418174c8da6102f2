import type { Hex } from "@skynet/protocol";
import type { Abi, ContractEventName, TransactionReceipt } from "viem";
import { parseEventLogs } from "viem";
import { lower } from "../deployment/addresses.ts";
import { ChainError } from "../errors.ts";
import { lowerAddresses, placeOf, readLogs } from "./events.ts";
import type { MarketRange } from "./market-types.ts";
import type { ReadContext } from "./reads.ts";

/** What the logs of a block range are filtered by. */
export type Topics = (Hex | readonly Hex[] | null)[];

/** A contract of the market. */
interface MarketContract<ContractAbi extends Abi> {
  readonly address: Hex;
  readonly abi: ContractAbi;
}

/** The event of a receipt that the contract always emits there. @throws ChainError */
export function eventOf<const ContractAbi extends Abi, Name extends ContractEventName<ContractAbi>>(
  receipt: TransactionReceipt,
  eventName: Name,
  { address, abi }: MarketContract<ContractAbi>,
) {
  const logs = receipt.logs.filter((log) => lower(log.address) === address);
  const [found] = parseEventLogs({ abi, eventName, logs, strict: true });
  if (found === undefined) throw new ChainError("Reverted", [receipt.transactionHash]);
  return found;
}

/** Reads events of the contract, from its first block to the latest if nothing else is said. */
export function createEventReader<MarketEvent>(
  { connection, firstBlock }: ReadContext,
  { address, abi }: MarketContract<Abi>,
): (topics: Topics, range: MarketRange) => Promise<MarketEvent[]> {
  const { reach, publicClient } = connection;
  return async (topics, { fromBlock = firstBlock, toBlock }) => {
    const range = { fromBlock, toBlock: toBlock ?? (await reach(() => publicClient.getBlockNumber())) };
    const logs = await readLogs(connection, address, topics, range);
    const own = logs.filter((log) => lower(log.address) === address);
    return parseEventLogs({ abi, logs: own, strict: true }).map(
      (log) => ({ name: log.eventName, args: lowerAddresses(log.args as object), ...placeOf(log) }) as MarketEvent,
    );
  };
}

/** The events with this name. */
export function eventsNamed<MarketEvent extends { readonly name: string }, Name extends MarketEvent["name"]>(
  events: readonly MarketEvent[],
  name: Name,
) {
  return events.filter((event): event is Extract<MarketEvent, { readonly name: Name }> => event.name === name);
}
