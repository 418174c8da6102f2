import { randomUUID } from "node:crypto";
import path from "node:path";
import process from "node:process";
import type { BlockStore, DiskBlockStore } from "@skynet/storage";
import { cidOf, DRAFT_PIN, isAlive, openBlockStore } from "@skynet/storage";
import type { Log } from "@skynet/swarm";

/** What the blocks of a node may take on disk unless --storage-quota says otherwise: 20 GiB. */
export const DEFAULT_QUOTA_BYTES = 20 * 2 ** 30;
/** At its start a node removes what nothing has needed for so long, milliseconds: a day. */
const OLD_MS = 24 * 60 * 60 * 1000;
/** A pin lasts through a power failure, which takes its time: those of many blocks are made together. */
const PINS_AT_ONCE = 64;

export interface NodeBlocksOptions {
  readonly quotaBytes?: number | undefined;
  readonly log?: Pick<Log, "warn" | "info"> | undefined;
}

export const blocksFolder = (dataDir: string): string => path.join(dataDir, "blocks");

/** The block store of a data folder. @throws StorageError `StoreFailed`, `DiskFull` */
export function openNodeBlocks(dataDir: string, { quotaBytes, log }: NodeBlocksOptions = {}): Promise<DiskBlockStore> {
  return openBlockStore(blocksFolder(dataDir), {
    quotaBytes: quotaBytes ?? DEFAULT_QUOTA_BYTES,
    onCorrupt: (error, cid) => log?.warn({ cid }, error.message),
  });
}

/** Removes what no job and no listing has needed for a day. */
export async function collectOld(
  blocks: DiskBlockStore,
  log: NodeBlocksOptions["log"],
  signal: AbortSignal,
): Promise<void> {
  try {
    const removed = await blocks.gc({ graceMs: OLD_MS, signal });
    if (removed.blocks > 0) log?.info({ ...removed }, "blocks that nothing needed were removed");
  } catch (error) {
    if (!signal.aborted) log?.warn({ error: String(error) }, "blocks could not be collected");
  }
}

/** What is put is pinned under this name soon enough: a block stays an hour without a pin. */
export function pinnedPuts(blocks: DiskBlockStore, name: string): BlockStore & { flush(): void } {
  let unpinned: string[] = [];
  const flush = () => {
    if (unpinned.length > 0) blocks.pin(name, unpinned);
    unpinned = [];
  };
  return {
    get: (cid) => blocks.get(cid),
    has: (cid) => blocks.has(cid),
    put: async (bytes, codec) => {
      const cid = await blocks.put(bytes, codec);
      if (unpinned.push(cid) >= PINS_AT_ONCE) flush();
      return cid;
    },
    flush,
  };
}

/** The same blocks; `told` hears of each that is put, and whether it was not there before. */
export const withTold = (blocks: DiskBlockStore, told: (cid: string, isNew: boolean) => void): BlockStore => ({
  get: (cid) => blocks.get(cid),
  has: (cid) => blocks.has(cid),
  put: async (bytes, codec) => {
    const isThere = await blocks.has(await cidOf(bytes, codec));
    const cid = await blocks.put(bytes, codec);
    told(cid, !isThere);
    return cid;
  },
});

/** While a file is added; it lapses when nobody goes on with it. */
export const draftPin = (file: string): string => `${DRAFT_PIN}${path.resolve(file)}`;

/** While this process fetches a file: another one that fetches the same has a pin of its own. */
export const fetchPin = (cid: string): string => `${FETCHES}${process.pid}/${cid}/${randomUUID()}`;
const FETCHES = `${DRAFT_PIN}fetch/`;

/** Takes away the pins of fetches whose process is gone; their blocks stay an hour, for a fetch that goes on. */
export function dropDeadFetches(blocks: Pick<DiskBlockStore, "pins" | "unpin">): void {
  for (const { name } of blocks.pins()) {
    if (name.startsWith(FETCHES) && !isAlive(Number(name.slice(FETCHES.length).split("/")[0]))) blocks.unpin(name);
  }
}

/** What a user has added: everybody may fetch what is public. */
export const filePin = (cid: string, isPublic: boolean): string => `${isPublic ? PUBLIC : "file:"}${cid}`;
const PUBLIC = "public:";

/** CIDs of what a user has made public. */
export const publicFiles = (blocks: DiskBlockStore): string[] =>
  blocks.pins().flatMap(({ name }) => (name.startsWith(PUBLIC) ? [name.slice(PUBLIC.length)] : []));

export const jobPin = (jobId: string): string => `job:${jobId}`;
/** Models of a job: after a round, or the file that they belong to; all of them without a part. */
export const artefactPin = (jobId: string, part?: number | "model"): string =>
  `artefact:${jobId}${part === undefined ? "" : typeof part === "number" ? `/round-${part}` : `/${part}`}`;
export const listingPin = (listingId: string): string => `listing:${listingId}`;
export const purchasePin = (listingId: string): string => `purchase:${listingId}`;
