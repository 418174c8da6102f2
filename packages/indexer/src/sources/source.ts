import { cleanText, type Hex } from "@skynet/protocol";
import type { SkyNetAddresses } from "@skynet/contracts";
import type { Abi, AbiEvent, ContractEventName, Log, ParseEventLogsReturnType } from "viem";
import { decodeEventLog, toEventSelector } from "viem";
import type { Rows } from "../store/rows.ts";
import type { Table } from "../store/tables.ts";

/** Where an event stands on the chain. */
export interface Place {
  readonly block: number;
  readonly transaction: Hex;
}

/** Rows of the index, and what sources tell it beside them. */
export interface Writer extends Rows {
  /** A token, in lower case, whose symbol and decimals are wanted. */
  token(address: string): void;
}

/** One contract: its tables, and what each of its events does to them. */
export interface Source {
  readonly name: string;
  readonly tables: readonly Table[];
  address(all: SkyNetAddresses): Hex;
  /** Applies a log of the contract; logs that its ABI does not know change nothing. */
  apply(writer: Writer, log: Log, place: Place): void;
}

type DecodedLog<Interface extends Abi> = ParseEventLogsReturnType<
  Interface,
  ContractEventName<Interface>,
  true
>[number];

interface Definition<Interface extends Abi> {
  readonly name: string;
  readonly tables: readonly Table[];
  readonly abi: Interface;
  address(all: SkyNetAddresses): Hex;
  on(writer: Writer, event: DecodedLog<Interface>, place: Place): void;
}

/** A source from the ABI of its contract. */
export function defineSource<const Interface extends Abi>(definition: Definition<Interface>): Source {
  const { abi, on, ...rest } = definition;
  const events = new Map<string, AbiEvent>();
  for (const item of abi) if (item.type === "event") events.set(toEventSelector(item), item);
  return {
    ...rest,
    apply: (writer, log, place) => {
      const event = events.get(log.topics[0] ?? "");
      if (event === undefined) return;
      const decoded = decode(event, log);
      if (decoded !== undefined) on(writer, { ...log, ...decoded } as unknown as DecodedLog<Interface>, place);
    },
  };
}

/** Undefined when the data do not have the form of the event: only another contract could send such a log. */
function decode(event: AbiEvent, { data, topics }: Log) {
  try {
    return decodeEventLog({ abi: [event], data, topics, strict: true });
  } catch {
    return undefined;
  }
}

/** One spelling makes addresses and hashes comparable. */
export const lower = (hex: string): Hex => hex.toLowerCase() as Hex;

const MAX_SEARCH = 4_000;

/** What a row is found by: its ids and the cleaned words of strangers. */
export const searchText = (...parts: readonly string[]): string => cleanText(parts.join(" "), MAX_SEARCH);
