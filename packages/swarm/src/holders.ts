import type { Address } from "./ports.ts";

/** Members that say they hold the same block, together; the block that most of them name comes first. */
export function holdersByBlock(sources: ReadonlyMap<Address, string> = new Map()): [string, readonly Address[]][] {
  const blocks = Map.groupBy(sources, ([, cid]) => cid);
  return [...blocks]
    .map(([cid, holders]): [string, Address[]] => [cid, holders.map(([holder]) => holder)])
    .toSorted(([, a], [, b]) => b.length - a.length);
}
