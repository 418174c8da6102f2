import { type Command, Option } from "commander";
import { openIndex, type IndexClient, type IndexedToken } from "@skynet/indexer";
import { createPublicClient, http } from "viem";
import { runningDevnet } from "./options.ts";
import type { Ui } from "./ui.ts";

export interface IndexChoice {
  /** Address of an index. */
  readonly index?: string;
  readonly rpc?: string;
}

/** For commands that show what is on the chain. */
export function addIndexOptions(command: Command): Command {
  return command.addOption(
    new Option("--index <url>", "index to ask instead of the chain, see skynet index").env("SKYNET_INDEX"),
  );
}

/**
 * The index that the options, the environment or the devnet name; undefined, with a line that says so, when there is
 * none and the chain has to be read. One that is named and does not answer is an error and no reason to go on without.
 * @throws IndexError `IndexUnreachable`, `IndexAnswer`, `WrongIndex`, `BadIndexUrl`
 */
export async function chooseIndex({ index, rpc }: IndexChoice, ui: Ui): Promise<IndexClient | undefined> {
  const url = index ?? (rpc === undefined ? runningDevnet()?.index : undefined);
  if (url === undefined) {
    ui.note("no index is configured (--index or SKYNET_INDEX): reading the chain");
    return undefined;
  }
  // without --rpc the index decides which chain is meant
  const chainId = rpc === undefined ? undefined : await createPublicClient({ transport: http(rpc) }).getChainId();
  return openIndex({ url, chainId });
}

/** All entries of an index up to a number, oldest first. */
export async function allEntries<Item, Query extends object>(
  list: (query: Query & { limit: number; cursor?: string }) => Promise<{ items: readonly Item[]; next: string | null }>,
  query: Query,
  most = MAX_ENTRIES,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const page = await list({ ...query, limit: 200, ...(cursor === null ? {} : { cursor }) });
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== null && items.length < most);
  return items.slice(0, most).reverse();
}

/** A list that nobody reads to its end; the API itself has pages. */
const MAX_ENTRIES = 1_000;

/** Whether all words occur, or begin a word, in one of the texts: what an index does, for a chain that was read. */
export function matches(search: string | undefined, ...texts: readonly string[]): boolean {
  const words = (text: string) =>
    text
      .toLowerCase()
      .split(/[^\p{L}\p{N}]+/u)
      .filter((word) => word !== "");
  const known = texts.flatMap(words);
  return words(search ?? "").every((wanted) => known.some((word) => word.startsWith(wanted)));
}

/** How amounts of a token are shown; one that does not say what it is, in its units. */
export const tokenOf = ({ address, symbol, decimals }: IndexedToken): { symbol: string; decimals: number } => ({
  symbol: symbol ?? `units of ${address}`,
  decimals: symbol === null ? 0 : (decimals ?? 0),
});
