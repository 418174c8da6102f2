import path from "node:path";
import {
  cidOf,
  cidOfDigest,
  digestOfCid,
  equalBytes,
  matchesCid,
  sha256,
  SkyNetError,
  toHex,
  type BlockCodec,
} from "@skynet/protocol";
import { StorageError, storeError } from "../errors.ts";
import { openBlockFiles, type BlockFile, type BlockFiles } from "./block-files.ts";
import { BlockIndex, type Pin, type Totals } from "./block-index.ts";

/** Blocks by the hash of their content. */
export interface BlockStore {
  /** @returns the block's CID @throws StorageError `DiskFull`, `QuotaExceeded`, `StoreFailed` */
  put(bytes: Uint8Array, codec?: BlockCodec): Promise<string>;
  /**
   * The block, or undefined when it is missing. A block that no longer has its hash is removed and counts as missing.
   * @throws InvalidInputError `BadCid`; StorageError `StoreFailed`
   */
  get(cid: string): Promise<Uint8Array | undefined>;
  has(cid: string): Promise<boolean>;
}

export interface GcOptions {
  /** What was used since then stays (an hour), milliseconds. */
  readonly graceMs?: number | undefined;
  /** Stop when the store has no more than these bytes (0). */
  readonly untilBytes?: number | undefined;
  /** Only count. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((removed: Totals) => void) | undefined;
}

export interface StoreStats extends Totals {
  readonly quotaBytes: number;
  /** What no pin holds; part of it may have been used too lately to be removed. */
  readonly unpinned: Totals;
  readonly collectable: Totals;
}

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((checked: Totals, all: Totals) => void) | undefined;
}

/** A block that had other bytes and was removed, or whose file is gone; and the pins that hold it. */
export interface LostBlock {
  readonly cid: string;
  readonly fault: "damaged" | "missing";
  readonly pins: readonly string[];
}

export interface VerifyReport {
  /** Blocks that are here and have their hash. */
  readonly good: Totals;
  readonly lost: readonly LostBlock[];
}

/** A store in a folder: bounded, and collected by what is pinned. Several processes may have it open. */
export interface DiskBlockStore extends BlockStore {
  /**
   * Keeps blocks from being collected as long as the pin is there; a pin of this name gets them in addition. They may
   * be put later.
   * @param name what needs them, such as `job:0x...`; one that begins with {@link DRAFT_PIN} lapses an hour after it or
   *   one of its blocks was used last
   */
  pin(name: string, cids: Iterable<string>): void;
  /** Takes away a pin, and those below it, such as `job:0x.../round-3`. @returns whether there was one */
  unpin(name: string): boolean;
  /** Takes away a pin and those below it, and removes at once the blocks that no other pin holds. */
  discard(name: string): Promise<Totals>;
  pins(): Pin[];
  /** Names of the pins that hold a block, whether it is here or not. */
  pinsOf(cid: string): string[];
  /** Removes what no pin holds, what was used least recently first. */
  gc(options?: GcOptions): Promise<Totals>;
  /** Reads every block and removes those that do not have their hash. */
  verify(options?: VerifyOptions): Promise<VerifyReport>;
  stats(): StoreStats;
  close(): void;
}

export interface BlockStoreOptions {
  /** Most bytes of blocks (no limit). */
  readonly quotaBytes?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
  /** Told about every block that was found damaged, with `CorruptBlock`. */
  readonly onCorrupt?: (error: StorageError, cid: string) => void;
}

/** Beginning of the names of pins of work that has not ended: nobody takes them away where a process is killed. */
export const DRAFT_PIN = "draft:";
const HOUR_MS = 60 * 60 * 1000;
/** Room that a collection makes beyond what is needed now, as a part of the quota. */
const SLACK = 0.1;
const COLLECT_AT_ONCE = 128;
const VERIFY_AT_ONCE = 64;
const NOTHING: Totals = { blocks: 0, bytes: 0 };
/** Uses that are noted together. */
const MAX_NOTED_USES = 256;

/**
 * Opens or creates a block store in a directory. A block is written to a temporary file, synced and renamed, so that a
 * crash or a power failure leaves whole blocks only.
 * @throws StorageError `StoreFailed`, `DiskFull`
 */
export async function openBlockStore(directory: string, options: BlockStoreOptions = {}): Promise<DiskBlockStore> {
  return explained(directory, async () => {
    const files = await openBlockFiles(directory);
    const index = new BlockIndex(path.join(directory, "index.sqlite"));
    const store = new FolderStore(directory, files, index, options);
    if (index.isNew) await store.adopt();
    store.lapse();
    return store;
  });
}

class FolderStore implements DiskBlockStore {
  readonly #directory: string;
  readonly #files: BlockFiles;
  readonly #index: BlockIndex;
  readonly #quotaBytes: number;
  readonly #clock: () => number;
  readonly #onCorrupt: BlockStoreOptions["onCorrupt"];
  readonly #writing = new Map<string, Promise<void>>();
  #uses = new Map<string, readonly [digest: Uint8Array, usedMs: number]>();
  #collecting: Promise<Totals> | undefined;
  #closed = false;

  constructor(directory: string, files: BlockFiles, index: BlockIndex, options: BlockStoreOptions) {
    const { quotaBytes = Infinity, clock = Date.now, onCorrupt } = options;
    this.#directory = directory;
    this.#files = files;
    this.#index = index;
    this.#quotaBytes = quotaBytes;
    this.#clock = clock;
    this.#onCorrupt = onCorrupt;
  }

  async put(bytes: Uint8Array, codec: BlockCodec = "raw"): Promise<string> {
    const cid = await cidOf(bytes, codec);
    const digest = digestOfCid(cid);
    const key = toHex(digest);
    let write = this.#writing.get(key);
    if (write === undefined) {
      write = explained(this.#directory, () => this.#write(digest, bytes)).finally(() => this.#writing.delete(key));
      this.#writing.set(key, write);
    }
    await write;
    return cid;
  }

  async #write(digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    const block = { digest, size: bytes.length };
    if (!this.#index.reserve(block, this.#clock(), this.#quotaBytes)) await this.#makeRoom(block);
    // From here on it is too new to be collected.
    const stored = await this.#files.read(digest);
    if (stored !== undefined && equalBytes(stored, bytes)) return;
    try {
      await this.#files.write(digest, bytes);
    } catch (error) {
      this.#index.drop(
        digest,
        () => this.#files.has(digest),
        () => undefined,
      );
      throw error;
    }
    // Unless the clock was set forward meanwhile.
    this.#index.adopt([block], this.#clock());
  }

  async #makeRoom(block: BlockFile): Promise<void> {
    const untilBytes = this.#quotaBytes * (1 - SLACK) - block.size;
    await this.gc({ untilBytes });
    if (!this.#index.reserve(block, this.#clock(), this.#quotaBytes)) throw this.#full(block.size);
  }

  #full(size: number): StorageError {
    const { bytes, unpinned } = this.stats();
    const mib = (count: number) => `${(count / 2 ** 20).toFixed(1)} MiB`;
    const held = `${mib(bytes)} of ${mib(this.#quotaBytes)} are used, ${mib(bytes - unpinned.bytes)} of them pinned`;
    return new StorageError("QuotaExceeded", `no room for a block of ${mib(size)} in ${this.#directory}: ${held}`, {
      hint: "give it more with --storage-quota, or end what needs the blocks: npx skynet storage pins shows it; what is not pinned makes room an hour after its last use, or at once with npx skynet storage gc --now",
    });
  }

  async get(cid: string): Promise<Uint8Array | undefined> {
    const digest = digestOfCid(cid);
    const bytes = await explained(this.#directory, () => this.#files.read(digest));
    if (bytes === undefined) return undefined;
    if (await matchesCid(cid, bytes)) {
      this.#noteUse(digest);
      return bytes;
    }
    await explained(this.#directory, async () => this.#dropBad(digest));
    this.#onCorrupt?.(new StorageError("CorruptBlock", `the block ${cid} was damaged on disk and is removed`), cid);
    return undefined;
  }

  async has(cid: string): Promise<boolean> {
    const digest = digestOfCid(cid);
    const found = this.#files.has(digest);
    if (found) this.#noteUse(digest);
    return found;
  }

  pin(name: string, cids: Iterable<string>): void {
    this.#index.pin(name, [...cids].map(digestOfCid), this.#clock());
  }

  unpin(name: string): boolean {
    return this.#index.unpin(name);
  }

  async discard(name: string): Promise<Totals> {
    const held = this.#index.heldBy(name);
    this.#index.unpin(name);
    let removed = NOTHING;
    for (let i = 0; i < held.length; i += COLLECT_AT_ONCE) {
      const some = held.slice(i, i + COLLECT_AT_ONCE);
      const remove = (digest: Uint8Array) => this.#files.remove(digest);
      removed = plus(
        removed,
        await explained(this.#directory, async () => this.#index.collect(some, Infinity, remove)),
      );
      // Others get their turn.
      await new Promise(setImmediate);
    }
    return removed;
  }

  pins(): Pin[] {
    this.#flushUses();
    return this.#index.pins();
  }

  pinsOf(cid: string): string[] {
    return this.#index.pinsOf(digestOfCid(cid));
  }

  async gc(options: GcOptions = {}): Promise<Totals> {
    if (options.dryRun === true) return this.#collectable(options.graceMs);
    // Several writers that need room at once wait for one collection, and look again.
    while (this.#collecting !== undefined) await this.#collecting.catch(() => undefined);
    this.#collecting = explained(this.#directory, () => this.#collect(options)).finally(() => {
      this.#collecting = undefined;
    });
    return this.#collecting;
  }

  async #collect({ graceMs = HOUR_MS, untilBytes = 0, signal, onProgress }: GcOptions): Promise<Totals> {
    await this.adopt();
    this.lapse(graceMs);
    const beforeMs = this.#clock() - graceMs;
    let removed = NOTHING;
    for (;;) {
      signal?.throwIfAborted();
      const excess = this.#index.totals().bytes - untilBytes;
      if (excess <= 0) return removed;
      const candidates = upTo(excess, this.#index.unheld(beforeMs, COLLECT_AT_ONCE));
      if (candidates.length === 0) return removed;
      const remove = (digest: Uint8Array) => this.#files.remove(digest);
      removed = plus(removed, this.#index.collect(candidates, beforeMs, remove));
      onProgress?.(removed);
      // Others get their turn.
      await new Promise(setImmediate);
    }
  }

  /** Takes away drafts that nobody goes on with. */
  lapse(graceMs = HOUR_MS): void {
    this.#flushUses();
    this.#index.lapse(DRAFT_PIN, this.#clock() - graceMs);
  }

  #collectable(graceMs = HOUR_MS): Totals {
    this.#flushUses();
    return this.#index.unheldTotals(this.#clock() - graceMs);
  }

  /** Notes files that have no row: of an earlier version, or the power failed before the row was on disk. */
  async adopt(): Promise<void> {
    let found: BlockFile[] = [];
    const note = () => {
      this.#index.adopt(found, this.#clock());
      found = [];
    };
    for await (const file of this.#files.all()) if (found.push(file) >= MAX_NOTED_USES) note();
    note();
  }

  async verify({ signal, onProgress }: VerifyOptions = {}): Promise<VerifyReport> {
    await explained(this.#directory, () => this.adopt());
    const all = this.#index.totals();
    let good = NOTHING;
    let checked = NOTHING;
    const lost: LostBlock[] = [];
    let after = new Uint8Array();
    for (;;) {
      const page = this.#index.page(after, VERIFY_AT_ONCE);
      if (page.length === 0) return { good, lost };
      for (const { digest, size } of page) {
        signal?.throwIfAborted();
        const fault = await explained(this.#directory, () => this.#faultOf(digest));
        const pins = fault ? this.#index.pinsOf(digest) : [];
        // A block that nobody needs and that is not there is a write that did not end.
        if (fault === "damaged" || pins.length > 0) lost.push({ cid: cidOfDigest(digest), fault: fault!, pins });
        if (fault === undefined) good = plus(good, { blocks: 1, bytes: size });
        checked = plus(checked, { blocks: 1, bytes: size });
        onProgress?.(checked, all);
      }
      after = page.at(-1)!.digest as Uint8Array<ArrayBuffer>;
    }
  }

  /** Removes the block unless it has its hash. */
  async #faultOf(digest: Uint8Array): Promise<LostBlock["fault"] | undefined> {
    const bytes = await this.#files.read(digest);
    if (bytes !== undefined && equalBytes(await sha256(bytes), digest)) return undefined;
    if (this.#writing.has(toHex(digest)) || !this.#dropBad(digest)) return undefined;
    return bytes === undefined ? "missing" : "damaged";
  }

  /** Unless another process has written it again. */
  #dropBad(digest: Uint8Array): boolean {
    const isGood = () => this.#files.has(digest) && !this.#files.isDamaged(digest);
    return this.#index.drop(digest, isGood, () => this.#files.remove(digest));
  }

  stats(): StoreStats {
    return {
      ...this.#index.totals(),
      quotaBytes: this.#quotaBytes,
      unpinned: this.#index.unheldTotals(Infinity),
      collectable: this.#collectable(),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#flushUses();
    this.#closed = true;
    this.#index.close();
  }

  #noteUse(digest: Uint8Array): void {
    if (this.#closed) return;
    this.#uses.set(toHex(digest), [digest, this.#clock()]);
    if (this.#uses.size >= MAX_NOTED_USES) this.#flushUses();
  }

  #flushUses(): void {
    if (this.#uses.size === 0) return;
    this.#index.touchAll(this.#uses.values());
    this.#uses = new Map();
  }
}

const plus = (one: Totals, other: Totals): Totals => ({
  blocks: one.blocks + other.blocks,
  bytes: one.bytes + other.bytes,
});

/** The first blocks that have these bytes together, at least. */
function upTo(bytes: number, blocks: readonly BlockFile[]): readonly BlockFile[] {
  let sum = 0;
  const end = blocks.findIndex(({ size }) => (sum += size) >= bytes);
  return end < 0 ? blocks : blocks.slice(0, end + 1);
}

async function explained<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    // Errors of the system and of SQLite have a code; a reason to stop has none.
    const { code } = cause as NodeJS.ErrnoException;
    throw cause instanceof SkyNetError || code === undefined
      ? cause
      : storeError(cause, `the block store in ${directory}`);
  }
}
