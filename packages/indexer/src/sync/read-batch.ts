import type { Hex } from "@skynet/protocol";
import type { Log } from "viem";
import { IndexError } from "../errors.ts";
import type { Batch } from "../store/store.ts";
import { mayBeTooLarge, type Block, type ChainReader } from "./chain.ts";

/** Headers that are asked for at the same time. */
const PARALLEL = 8;

/** Logs of a range of blocks that were on one and the same chain. */
export interface ReadBatch extends Batch {
  readonly from: number;
  readonly to: number;
  readonly logs: readonly Log[];
}

const moved = () =>
  new IndexError("ChainMoved", "the chain was reorganised while it was read", { hint: "it is read again" });

/** Headers of `from` to `to`; each must be the parent of the next. */
async function readHeaders(chain: ChainReader, from: number, to: number): Promise<Block[]> {
  const blocks: Block[] = [];
  for (let next = from; next <= to; next += PARALLEL) {
    const numbers = Array.from({ length: Math.min(PARALLEL, to - next + 1) }, (_, i) => next + i);
    for (const block of await Promise.all(numbers.map((number) => chain.block(number)))) {
      const parent = blocks.at(-1);
      if (block === undefined || (parent !== undefined && block.parentHash !== parent.hash)) throw moved();
      blocks.push(block);
    }
  }
  return blocks;
}

export interface Range {
  readonly from: number;
  readonly to: number;
  /** Whether the range is so old that no reorganisation reaches it: then only the hash of its end is read. */
  readonly final: boolean;
  /** Hash of the block before the range, if the index has it. */
  readonly parent: string | undefined;
}

/**
 * Reads a range. The last hash commits to everything before it: when it is the same before and after the logs were
 * read, the logs belong to that chain.
 * @throws IndexError `ChainMoved` when they may not: read again
 */
export async function readBatch(
  chain: ChainReader,
  addresses: readonly Hex[],
  { from, to, final, parent }: Range,
): Promise<ReadBatch> {
  const headers = await readHeaders(chain, final ? to : from, to);
  if (parent !== undefined && headers[0]!.number === from && headers[0]!.parentHash !== parent) throw moved();
  const logs = await chain.logs(addresses, from, to);
  const end = await chain.block(to);
  if (end?.hash !== headers.at(-1)!.hash) throw moved();
  return { from, to, final, logs, hashes: headers.map(({ number, hash }) => ({ number, hash })) };
}

const FIRST_SPAN = 16;
const MAX_SPAN = 100_000;
const GROWTH = 4;
/** Answers after which a range that was refused is tried again. */
const PATIENCE = 200;
/** Logs of a batch that are aimed at: transactions and answers stay small, requests few. */
const AIM_LOGS = 1_000;

/** How many blocks to ask for: more while they hold few logs, fewer when they hold many or the endpoint refuses. */
export interface Span {
  readonly size: number;
  succeeded(blocks: number, logs: number): void;
  /** Whether a smaller range can be tried after this error. */
  failed(error: unknown, blocks: number): boolean;
}

export function createSpan(): Span {
  let size = FIRST_SPAN;
  let ceiling = MAX_SPAN;
  let successes = 0;
  return {
    get size() {
      return size;
    },
    succeeded: (blocks, logs) => {
      // what was refused once may have had another reason: try it again, but seldom
      if (++successes % PATIENCE === 0) ceiling = Math.min(MAX_SPAN, ceiling * 2);
      if (logs > AIM_LOGS) size = Math.max(1, Math.floor((blocks * AIM_LOGS) / logs));
      else if (blocks >= size && logs < AIM_LOGS / GROWTH)
        size = Math.min(size * GROWTH, ceiling === MAX_SPAN ? MAX_SPAN : Math.ceil((size + ceiling) / 2));
    },
    failed: (error, blocks) => {
      if (blocks <= 1 || !mayBeTooLarge(error)) return false;
      ceiling = blocks - 1;
      size = Math.ceil(blocks / 2);
      return true;
    },
  };
}
