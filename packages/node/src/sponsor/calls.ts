import {
  forwardable,
  jobBoardAbi,
  ledgerAbi,
  workerRegistryAbi,
  type RawCall,
  type SkyNetAddresses,
} from "@skynet/contracts";
import { type Hex } from "@skynet/protocol";
import { decodeFunctionData, encodeFunctionData, type Abi } from "viem";
import { SponsorError } from "./errors.ts";
import { MAX_REQUEST_BYTES } from "./messages.ts";

type ContractName = keyof typeof forwardable;

/** A call of a contract of SkyNet that anybody may send. */
export interface SponsorCall {
  readonly contract: ContractName;
  readonly functionName: string;
  readonly args: readonly unknown[];
  readonly raw: RawCall;
}

const abis: Readonly<Record<ContractName, Abi>> = {
  jobBoard: jobBoardAbi,
  workerRegistry: workerRegistryAbi,
  ledger: ledgerAbi,
};

/** Most gas and calldata of one call of each kind: the specification's caps, and not what somebody could make of it. */
const SMALL = { gas: 500_000n, bytes: 4096 };
const limits: Readonly<Record<string, { readonly gas: bigint; readonly bytes: number }>> = {
  joinFor: { gas: 2_000_000n, bytes: 4096 },
  commitFor: { gas: 10_000_000n, bytes: 64 * 1024 },
  abstainFor: { gas: 10_000_000n, bytes: 4096 },
  leaveFor: { gas: 10_000_000n, bytes: 4096 },
  ready: { gas: 10_000_000n, bytes: 64 * 1024 },
  attest: { gas: 10_000_000n, bytes: 64 * 1024 },
  merge: { gas: 10_000_000n, bytes: 64 * 1024 },
  draw: { gas: 2_000_000n, bytes: 4096 },
  tick: { gas: 10_000_000n, bytes: 4096 },
  prove: { gas: 10_000_000n, bytes: MAX_REQUEST_BYTES },
  mergeProven: { gas: 10_000_000n, bytes: MAX_REQUEST_BYTES },
};

export const gasCapOf = ({ functionName }: SponsorCall): bigint => (limits[functionName] ?? SMALL).gas;

/**
 * Reads calldata. It must be in the one encoding that the ABI gives, so that nothing hides in it.
 * @throws SponsorError `NotOffered`, `TooLarge`, `Malformed`
 */
export function parseCall(addresses: SkyNetAddresses, raw: RawCall): SponsorCall {
  const contract = (Object.keys(forwardable) as ContractName[]).find((name) => addresses[name] === raw.to);
  if (contract === undefined)
    throw new SponsorError("NotOffered", `${raw.to} is no contract of SkyNet with such calls`);
  const { functionName, args } = decodeCall(abis[contract], raw.data);
  if (!(forwardable[contract] as readonly string[]).includes(functionName))
    throw new SponsorError("NotOffered", `${functionName} is not sponsored`);
  const most = (limits[functionName] ?? SMALL).bytes;
  if ((raw.data.length - 2) / 2 > most)
    throw new SponsorError("TooLarge", `the call has more than ${most} bytes, the most for ${functionName}`);
  return { contract, functionName, args, raw };
}

function decodeCall(abi: Abi, data: Hex): { functionName: string; args: readonly unknown[] } {
  try {
    const { functionName, args = [] } = decodeFunctionData({ abi, data });
    if (encodeFunctionData({ abi, functionName, args }) === data) return { functionName, args };
  } catch (cause) {
    throw new SponsorError("Malformed", "not a call that the contract understands", { cause });
  }
  throw new SponsorError("Malformed", "the call is not in its one encoding");
}

/** Job that a call names; undefined for calls about an account. */
export function jobOf({ contract, args }: Pick<SponsorCall, "contract" | "args">): Hex | undefined {
  return contract === "jobBoard" ? (args[0] as Hex) : undefined;
}

/** Functions that take lists of rows: how many arguments stand before the lists, and which seat or worker a row is of. */
const lists: Readonly<
  Record<string, { readonly fixed: number; readonly ownerOf: (row: readonly unknown[]) => string }>
> = {
  joinFor: { fixed: 1, ownerOf: ([acceptance]) => (acceptance as { worker: Hex }).worker },
  commitFor: { fixed: 1, ownerOf: ([commitment]) => String((commitment as { seat: number }).seat) },
  ready: { fixed: 2, ownerOf: ([seat]) => String(seat) },
  attest: { fixed: 1, ownerOf: ([seat]) => String(seat) },
};

/** More rows than a job can have seats are never of use. */
const MAX_ROWS = 256;

/**
 * The rows of a call of lists, such as one acceptance with its signature and admission.
 * @throws SponsorError `Malformed` when the lists differ in length or a row comes twice
 */
export function rowsOf({ functionName, args }: SponsorCall): readonly (readonly unknown[])[] {
  const list = lists[functionName];
  if (list === undefined) return [];
  const columns = args.slice(list.fixed) as readonly (readonly unknown[])[];
  const count = columns[0]!.length;
  const rows = Array.from({ length: count }, (_, i) => columns.map((column) => column[i]));
  const equal = columns.every(({ length }) => length === count);
  if (count === 0 || !equal || new Set(rows.map(list.ownerOf)).size !== count)
    throw new SponsorError("Malformed", "the lists of the call differ in length, are empty, or name a seat twice");
  return rows;
}

/** Whether calls of this kind can be gathered; the others travel alone. */
export const isList = ({ functionName }: SponsorCall): boolean => functionName in lists;

/** Calls with the same key can travel in one transaction. */
export function batchKeyOf(call: SponsorCall): string {
  const list = lists[call.functionName];
  return list === undefined
    ? call.raw.to + call.raw.data
    : textOf([call.functionName, ...call.args.slice(0, list.fixed)]);
}

/** One call with the rows of all; of a seat that is in several the first row counts. They must have the same key. */
export function mergeCalls(calls: readonly SponsorCall[]): RawCall {
  const [first] = calls as [SponsorCall];
  const list = lists[first.functionName];
  if (calls.length === 1 || list === undefined) return first.raw;
  const rows = new Map<string, readonly unknown[]>();
  for (const row of calls.flatMap(rowsOf))
    if (rows.size < MAX_ROWS && !rows.has(list.ownerOf(row))) rows.set(list.ownerOf(row), row);
  const columns = first.args.slice(list.fixed).map((_, i) => [...rows.values()].map((row) => row[i]));
  const args = [...first.args.slice(0, list.fixed), ...columns];
  return {
    to: first.raw.to,
    data: encodeFunctionData({ abi: abis[first.contract], functionName: first.functionName, args }),
  };
}

/** Whether a transaction does what a call asks: it is the call, or a batch with all of its rows. */
export function covers(addresses: SkyNetAddresses, sent: RawCall, wanted: RawCall): boolean {
  if (sent.to !== wanted.to) return false;
  if (sent.data === wanted.data) return true;
  let calls: readonly [SponsorCall, SponsorCall];
  try {
    calls = [parseCall(addresses, sent), parseCall(addresses, wanted)];
    if (batchKeyOf(calls[0]) !== batchKeyOf(calls[1])) return false;
    const there = new Set(rowsOf(calls[0]).map(textOf));
    const asked = rowsOf(calls[1]);
    return asked.length > 0 && asked.every((row) => there.has(textOf(row)));
  } catch (error) {
    if (error instanceof SponsorError) return false;
    throw error;
  }
}

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? `${item}n` : item));
