import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises";
import type { SkyNetAddresses } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import { IndexError } from "../errors.ts";
import { sources } from "../sources/index.ts";
import { lower, type Source, type Writer } from "../sources/source.ts";
import type { Rows } from "../store/rows.ts";
import type { IndexedBlock, Store } from "../store/store.ts";
import type { Block, ChainReader } from "./chain.ts";
import { createSpan, readBatch, type Range, type ReadBatch } from "./read-batch.ts";
import { describeTokens } from "./tokens.ts";

/** Reorganisations up to this depth are undone block by block; deeper ones build the index again. */
export const UNDO_BLOCKS = 128;
/** Logs after which requests get their turn. */
const LOGS_AT_ONCE = 50;
const POLL_MS = 250;
const MAX_PAUSE_MS = 10_000;

/** What the index knows of its own state. */
export interface SyncState {
  /** Newest block of the chain. */
  readonly head: number;
  readonly caughtUp: boolean;
  /** Reorganisations that were undone since the start. */
  readonly reorgs: number;
  /** Why the chain cannot be read at present. */
  readonly trouble: string | null;
}

export interface FollowerOptions {
  readonly chain: ChainReader;
  readonly store: Store;
  readonly chainId: number;
  readonly addresses: SkyNetAddresses;
  /** First block that can hold events of the contracts. */
  readonly firstBlock: number;
  readonly onProgress: (done: number, total: number) => void;
  /** Something worth a line: a reorganisation, a rebuild, trouble with the chain. */
  readonly onNotice: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface Follower {
  state(): SyncState;
  /** Until the index has the newest block for the first time. */
  readonly caughtUp: Promise<void>;
  /** Compares the chain with the one that the index was built from. @throws IndexError `WrongChain` */
  identify(): Promise<void>;
  /** Follows the chain until the signal aborts. @throws IndexError `WrongChain` */
  run(): Promise<void>;
}

/** Follows the chain into the store: one batch of blocks after the other, each in one transaction. */
export function createFollower(options: FollowerOptions): Follower {
  const { chain, store, addresses, firstBlock, onProgress, onNotice, signal } = options;
  const byAddress = new Map<string, Source>(sources.map((source) => [source.address(addresses), source]));
  const contracts = [...byAddress.keys()] as Hex[];
  const span = createSpan();
  const first = Promise.withResolvers<void>();
  let state: SyncState = { head: store.tip()?.number ?? 0, caughtUp: false, reorgs: 0, trouble: null };
  let started: number | undefined;
  const set = (change: Partial<SyncState>) => {
    state = { ...state, ...change };
  };

  const rebuild = (why: string) => {
    onNotice(`${why}: the index is built again`);
    store.clear();
    started = undefined;
    set({ caughtUp: false });
  };

  /** Whether the chain was replaced; the index is empty then. */
  const replaced = async (): Promise<boolean> => {
    const identity = await identify(options);
    if (identity.isReplaced) rebuild("the chain was replaced by another one");
    identity.remember();
    return identity.isReplaced;
  };

  /** Takes back what is no longer on the chain. False: nothing can be done until the endpoint has caught up. */
  const settle = async (head: Block): Promise<boolean> => {
    const tip = store.tip();
    if (tip === undefined || (await isOnChain(chain, tip, head))) return true;
    if (await replaced()) return true;
    const known = store.restorable();
    if (head.number < known.at(-1)!.number) {
      set({ trouble: `the endpoint is at block ${head.number}, far behind the index` });
      return false;
    }
    for (const block of known) {
      if (block.number > head.number || !(await isOnChain(chain, block, head))) continue;
      store.undoTo(block.number);
      set({ reorgs: state.reorgs + 1 });
      onNotice(`reorganisation: blocks after ${block.number} were taken back`);
      return true;
    }
    rebuild(`a reorganisation went deeper than ${UNDO_BLOCKS} blocks`);
    return true;
  };

  const writeBatch = (batch: ReadBatch) =>
    store.write(batch, (rows, enter) => applyLogs(createWriter(rows), enter, byAddress, batch.logs, signal));

  /** The next range to read after a block, up to the head. */
  const plan = (after: IndexedBlock | undefined, head: Block): Range | undefined => {
    const from = after === undefined ? firstBlock : after.number + 1;
    const final = from <= head.number - UNDO_BLOCKS;
    const to = Math.min(from + span.size - 1, final ? head.number - UNDO_BLOCKS : head.number);
    return to < from ? undefined : { from, to, final, parent: after?.number === from - 1 ? after.hash : undefined };
  };

  const read = async (range: Range): Promise<ReadBatch> => {
    const blocks = range.to - range.from + 1;
    try {
      const batch = await readBatch(chain, contracts, range);
      span.succeeded(blocks, batch.logs.length);
      return batch;
    } catch (error) {
      if (!span.failed(error, blocks)) throw error;
      throw new IndexError("RangeTooLarge", `the endpoint refused ${blocks} blocks at once`, { cause: error });
    }
  };

  /** Brings the index to the head. While one batch is written, the next one is read. */
  const step = async (): Promise<"more" | "again" | "idle"> => {
    const head = await chain.head();
    set({ head: head.number, trouble: null });
    if (!(await settle(head))) return "again";
    const start = plan(store.tip(), head);
    started ??= start?.from;
    let reading = start && read(start);
    try {
      while (reading !== undefined) {
        const batch = await reading;
        const following = plan(batch.hashes.at(-1), head);
        reading = following && read(following);
        // its error counts when it is awaited
        reading?.catch(() => undefined);
        await writeBatch(batch);
        await describeTokens(chain, store);
        if (!state.caughtUp) onProgress(batch.to - started! + 1, head.number - started! + 1);
      }
    } catch (error) {
      const code = error instanceof IndexError ? error.code : "";
      if (code === "RangeTooLarge") return "more";
      if (code === "ChainMoved") return "again";
      throw error;
    }
    return start === undefined ? "idle" : "more";
  };

  const run = async (): Promise<void> => {
    let pauseMs = POLL_MS;
    while (!signal.aborted) {
      try {
        const next = await step();
        if (next === "more") continue;
        pauseMs = POLL_MS;
        if (next === "idle" && !state.caughtUp) {
          set({ caughtUp: true });
          first.resolve();
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof IndexError && error.code === "WrongChain") throw error;
        pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
        // the address of an endpoint may hold a key, and everybody can read the status
        const trouble = (error as Error).message.split("\n", 1)[0]!.replaceAll(chain.rpcUrl, "its endpoint");
        if (trouble !== state.trouble) onNotice(`the chain cannot be read: ${trouble}; trying again`);
        set({ trouble });
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  };
  return { state: () => state, caughtUp: first.promise, identify: async () => void (await replaced()), run };
}

async function isOnChain(
  chain: ChainReader,
  block: { readonly number: number; readonly hash: string },
  head: Block,
): Promise<boolean> {
  if (block.number > head.number) return false;
  return (block.number === head.number ? head : await chain.block(block.number))?.hash === block.hash;
}

function createWriter(rows: Rows): Writer {
  const known = new Set<string>();
  return {
    ...rows,
    token: (address) => {
      if (known.has(address)) return;
      known.add(address);
      rows.run("INSERT INTO tokens (address, asked) VALUES (?, 0) ON CONFLICT DO NOTHING", address);
    },
  };
}

async function applyLogs(
  writer: Writer,
  enter: (block: number) => void,
  byAddress: ReadonlyMap<string, Source>,
  logs: ReadBatch["logs"],
  signal: AbortSignal,
): Promise<void> {
  let current = -1;
  for (const [i, log] of logs.entries()) {
    if (i % LOGS_AT_ONCE === LOGS_AT_ONCE - 1) {
      await breathe();
      signal.throwIfAborted();
    }
    const block = Number(log.blockNumber);
    if (block !== current) enter((current = block));
    byAddress.get(lower(log.address))?.apply(writer, log, { block, transaction: log.transactionHash! });
  }
}

/** What a chain is, compared with the one that the index was built from. */
interface Identity {
  /** Same id and contracts, but another history from its first block on. */
  readonly isReplaced: boolean;
  /** Keeps what the chain is for the next comparison. */
  remember(): void;
}

/** @throws IndexError `WrongChain` when the id or the contracts differ */
async function identify({ chain, store, chainId, addresses }: FollowerOptions): Promise<Identity> {
  const [id, genesis] = [await chain.chainId(), lower((await chain.block(0))?.hash ?? "0x")];
  const contracts = sources.map((source) => `${source.name} ${source.address(addresses)}`).join(", ");
  const compare = (what: string, here: string, there: string | undefined) => {
    if (there === undefined || here === there) return;
    throw new IndexError("WrongChain", `the index was built from ${what} ${there}, this is ${here}`, {
      hint: "name the right chain with --rpc, another folder with --data, or build the index again with --rebuild",
    });
  };
  compare("chain", String(id), String(chainId));
  compare("chain", String(id), store.fact("chainId"));
  compare("the contracts", contracts, store.fact("contracts"));
  const before = store.fact("genesis");
  return {
    isReplaced: before !== undefined && before !== genesis,
    remember: () => {
      store.setFact("chainId", String(id));
      store.setFact("contracts", contracts);
      store.setFact("genesis", genesis);
    },
  };
}
