import type { Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import type { Offence } from "../limits/scores.ts";
import { backoffMs, type RandomNumber } from "../timing/delay.ts";
import type { BlockLink } from "./block-link.ts";
import type { Partials } from "./partials.ts";
import { fetchTask, type Lease, type Source } from "./transfer-lease.ts";
import { createTask, judge, resumeTask, sizeOf, type BlockRef, type Task } from "./transfer-task.ts";

export interface TransferProgress {
  /** Bytes that are here, those of an earlier transfer included. */
  readonly receivedBytes: number;
  /** Undefined while the size of some block is not known. */
  readonly totalBytes: number | undefined;
  readonly blocks: number;
  readonly totalBlocks: number;
  readonly bytesPerSecond: number;
  /** What each peer has given, and how fast it is. */
  readonly sources: readonly { readonly peer: Hex; readonly bytes: number; readonly bytesPerSecond: number }[];
}

export interface TransferOptions {
  /** Peers that have the blocks; faster ones serve more. */
  readonly sources: readonly Hex[];
  /** Takes a block whose hash is right; while it works, no more is asked for than memory allows. */
  readonly onBlock: (index: number, bytes: Uint8Array, cid: string) => Promise<void> | void;
  readonly signal?: AbortSignal | undefined;
  /** Longest silence of a peer that owes us an answer, milliseconds (30,000). */
  readonly silenceMs?: number | undefined;
  /** How long to try again without any progress when no peer can be reached, milliseconds (0). */
  readonly patienceMs?: number | undefined;
  /** Keeps the beginnings of unfinished blocks. */
  readonly partials?: Partials | undefined;
  /** Most bytes of blocks that are on their way or in `onBlock` (64 MiB). */
  readonly maxBufferBytes?: number | undefined;
  /** The bytes that `onBlock` gets are overwritten once it has returned or resolved (false): faster. */
  readonly reuseBuffers?: boolean | undefined;
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
}

export interface TransferModules {
  readonly link: (peer: Hex) => BlockLink;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly clock: () => number;
  readonly random: RandomNumber;
  /** Holds something against a peer. */
  readonly offend: (peer: Hex, offence: Offence) => void;
  /** Aborts when the host stops. */
  readonly signal: AbortSignal;
}

const TICK_MS = 250;
/** One reason for all: an error of its own for every block costs more than the block. */
const STOPPED = new Error("not needed any more");

/** Fetches blocks from several peers at once; see `fetchBlocks`. */
export class Transfer {
  readonly #o: TransferOptions;
  readonly #m: TransferModules;
  readonly #sources: Source[];
  readonly #pending: Task[];
  /** Blocks that have a buffer. */
  readonly #live = new Set<Task>();
  /** Buffers of blocks that are done. */
  readonly #spare: Uint8Array[] = [];
  readonly #settled = Promise.withResolvers<void>();
  readonly #total: number;
  #over = false;
  #done = 0;
  #doneBytes = 0;
  #progressMs: number;

  constructor(blocks: readonly BlockRef[], options: TransferOptions, modules: TransferModules) {
    this.#o = options;
    this.#m = modules;
    this.#total = blocks.length;
    this.#pending = blocks.map(createTask).reverse();
    this.#progressMs = modules.clock();
    this.#sources = [...new Set(options.sources)].map((peer) => ({
      peer,
      link: modules.link(peer),
      leases: new Set(),
      bytes: 0,
      bytesAtTick: 0,
      rate: 0,
      leasedMs: 0,
      failures: 0,
      state: "active",
      timer: undefined,
    }));
  }

  async run(): Promise<void> {
    const { signal } = this.#o;
    if (this.#total === 0) return;
    if (this.#sources.length === 0) throw new NetworkError("BadOption", "no peer to fetch from is given");
    const either = signal ? AbortSignal.any([signal, this.#m.signal]) : this.#m.signal;
    either.throwIfAborted();
    const abort = () => this.#fail(either.reason as Error);
    either.addEventListener("abort", abort, { once: true });
    const timer = setInterval(() => this.#tick(), TICK_MS);
    this.#assign();
    try {
      await this.#settled.promise;
    } finally {
      clearInterval(timer);
      either.removeEventListener("abort", abort);
      this.#end();
      await this.#flush(0);
    }
    this.#report();
  }

  /** Gives every peer as many blocks as its window takes. */
  #assign(): void {
    for (const source of this.#sources) {
      while (!this.#over && source.state === "active" && backlogOf(source) < source.link.window.bytes) {
        const task = this.#next(source);
        if (task === undefined) break;
        void this.#lease(task, source);
      }
    }
  }

  #next({ peer }: Source): Task | undefined {
    let buffered = 0;
    for (const task of this.#live) buffered += sizeOf(task);
    const { maxBufferBytes = 64 * 1024 * 1024 } = this.#o;
    for (let i = this.#pending.length - 1; i >= 0; i--) {
      const task = this.#pending[i]!;
      if (task.without.has(peer)) continue;
      const fits = this.#live.has(task) || this.#live.size === 0 || buffered + sizeOf(task) <= maxBufferBytes;
      if (!fits) return undefined;
      this.#pending.splice(i, 1);
      return task;
    }
    return undefined;
  }

  async #lease(task: Task, source: Source): Promise<void> {
    const lease: Lease = { task, source, stop: new AbortController(), ended: false, sinceMs: this.#m.clock() };
    source.leases.add(lease);
    source.leasedMs = lease.sinceMs;
    this.#live.add(task);
    try {
      if (!task.loaded) resumeTask(task, (await this.#o.partials?.load(task.ref.cid)) ?? new Uint8Array());
      if (lease.ended) return;
      const onBytes = () => {
        source.failures = 0;
        this.#progressMs = this.#m.clock();
        if (backlogOf(source) < source.link.window.bytes) this.#assign();
      };
      if (task.have !== task.size)
        await fetchTask(lease, {
          silenceMs: this.#o.silenceMs ?? 30_000,
          onBytes,
          allocate: this.#allocate,
        });
      if (this.#endLease(lease)) await this.#complete(task);
    } catch (error) {
      if (!this.#stopLease(lease)) return;
      this.#pending.push(task);
      this.#leaseFailed(lease, error);
    }
    this.#assign();
  }

  /** @returns false when it had ended before: stolen, or the transfer is over */
  #endLease(lease: Lease): boolean {
    if (lease.ended) return false;
    lease.ended = true;
    lease.source.leases.delete(lease);
    return true;
  }

  /** Takes a block from a peer before it has given all of it. @returns false when it had ended before */
  #stopLease(lease: Lease): boolean {
    if (!this.#endLease(lease)) return false;
    lease.stop.abort(STOPPED);
    return true;
  }

  readonly #allocate = (bytes: number): Uint8Array => {
    const spare = this.#spare.pop();
    return spare?.length === bytes ? spare : new Uint8Array(bytes);
  };

  async #complete(task: Task): Promise<void> {
    try {
      const { ok, liars } = await judge(task);
      if (task.keptBytes > 0 || !ok) await this.#o.partials?.remove(task.ref.cid);
      for (const peer of liars) this.#drop(this.#sourceOf(peer), badBlock(peer, task.ref.cid));
      if (!ok) return void this.#pending.push(task);
      if (this.#over) return;
      const { buffer } = task;
      await this.#o.onBlock(task.index, buffer, task.ref.cid);
      task.buffer = new Uint8Array();
      if (this.#o.reuseBuffers === true) this.#spare.push(buffer);
      this.#live.delete(task);
      this.#done += 1;
      this.#doneBytes += buffer.length;
      if (this.#done === this.#total) this.#settled.resolve();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #sourceOf(peer: Hex): Source {
    return this.#sources.find((source) => source.peer === peer)!;
  }

  #leaseFailed({ source, task }: Lease, cause: unknown): void {
    const error = cause instanceof NetworkError ? cause : undefined;
    switch (error?.code) {
      case undefined:
        return this.#fail(cause as Error);
      case "Refused":
      case "NotFound":
        task.without.set(source.peer, error!);
        if (this.#sources.every(({ peer, state }) => state === "dropped" || task.without.has(peer))) this.#fail(error!);
        return;
      case "Unreachable":
      case "Stalled":
        return this.#rest(source, error!);
      default:
        return this.#drop(source, error!);
    }
  }

  /** Leaves a peer alone for a while; a stream that broke once is opened again at once. */
  #rest(source: Source, error: NetworkError): void {
    if (source.state !== "active") return;
    const { patienceMs = 0 } = this.#o;
    source.failures += 1;
    const again = source.failures === 1 && error.code === "Unreachable";
    if (!again && this.#m.clock() - this.#progressMs >= patienceMs) return this.#drop(source, error);
    source.state = "resting";
    for (const lease of source.leases) if (this.#stopLease(lease)) this.#pending.push(lease.task);
    const wake = () => {
      source.state = "active";
      this.#assign();
    };
    source.timer = setTimeout(wake, again ? 0 : backoffMs(source.failures, 100, 5000, this.#m.random));
  }

  #drop(source: Source, error: NetworkError): void {
    if (source.state === "dropped") return;
    if (error.code === "BadBlock") this.#m.offend(source.peer, "badContent");
    source.state = "dropped";
    clearTimeout(source.timer);
    for (const lease of source.leases) if (this.#stopLease(lease)) this.#pending.push(lease.task);
    const left = this.#sources.filter(({ state }) => state !== "dropped");
    const lost = this.#pending.some(({ without }) => left.every(({ peer }) => without.has(peer)));
    if (left.length === 0 || lost) this.#fail(error);
    else this.#assign();
  }

  #fail(error: Error): void {
    this.#over = true;
    this.#settled.reject(error);
  }

  #end(): void {
    this.#over = true;
    for (const source of this.#sources) {
      clearTimeout(source.timer);
      for (const lease of source.leases) this.#stopLease(lease);
    }
  }

  #tick(): void {
    for (const source of this.#sources) {
      const rate = ((source.bytes - source.bytesAtTick) * 1000) / TICK_MS;
      source.bytesAtTick = source.bytes;
      // A peer that has nothing to do stays as fast as it was.
      if (source.leases.size > 0) source.rate = source.rate === 0 ? rate : 0.6 * source.rate + 0.4 * rate;
    }
    this.#steal();
    void this.#flush(1000);
    this.#report();
  }

  /** At the end, a peer without work takes over what another one would need at least twice the time for. */
  #steal(): void {
    // Who was idle longest comes first, so that each gets its turn when several are silent.
    for (const thief of this.#sources.toSorted((a, b) => a.leasedMs - b.leasedMs)) {
      if (this.#over || thief.state !== "active" || thief.leases.size > 0) continue;
      let worst: { lease: Lease; seconds: number } | undefined;
      for (const source of this.#sources)
        for (const lease of source.leases) {
          const { task } = lease;
          if (task.without.has(thief.peer) || task.suspects.length > 0) continue;
          if (this.#m.clock() - lease.sinceMs < 2 * TICK_MS) continue;
          const seconds = backlogOf(source) / source.rate;
          const mine = thief.rate === 0 ? 1 : (sizeOf(task) - task.have) / thief.rate + 0.05;
          if (seconds > 2 * mine && seconds > (worst?.seconds ?? 0)) worst = { lease, seconds };
        }
      if (worst === undefined) continue;
      this.#stopLease(worst.lease);
      void this.#lease(worst.lease.task, thief);
    }
  }

  /** Hands beginnings of blocks to the partials: of those that take longer than this. */
  async #flush(olderMs: number): Promise<void> {
    const { partials } = this.#o;
    if (partials === undefined) return;
    const young = new Set<Task>();
    for (const { leases } of this.#sources)
      for (const { task, sinceMs } of leases) if (this.#m.clock() - sinceMs < olderMs) young.add(task);
    for (const task of this.#live) {
      const { keptBytes: from, have } = task;
      if (young.has(task) || have <= from || have === task.size) continue;
      task.keptBytes = have;
      await partials.append(task.ref.cid, from, task.buffer.slice(from, have)).catch((error: unknown) => {
        this.#fail(error as Error);
      });
    }
  }

  #report(): void {
    let receivedBytes = this.#doneBytes;
    let totalBytes: number | undefined = this.#doneBytes;
    for (const task of this.#live) receivedBytes += task.have;
    for (const { size } of new Set([...this.#live, ...this.#pending]))
      totalBytes = totalBytes === undefined || size === undefined ? undefined : totalBytes + size;
    const sources = this.#sources.map(({ peer, bytes, rate }) => ({ peer, bytes, bytesPerSecond: rate }));
    const bytesPerSecond = this.#sources.reduce((sum, { leases, rate }) => sum + (leases.size > 0 ? rate : 0), 0);
    const { onProgress } = this.#o;
    onProgress?.({
      receivedBytes,
      totalBytes,
      blocks: this.#done,
      totalBlocks: this.#total,
      bytesPerSecond,
      sources,
    });
  }
}

const badBlock = (peer: Hex, cid: string) =>
  new NetworkError("BadBlock", `${peer} sent other bytes than block ${cid}`, {
    hint: "fetch the block from another peer",
  });

function backlogOf({ leases }: Source): number {
  let bytes = 0;
  for (const { task } of leases) bytes += sizeOf(task) - task.have;
  return bytes;
}
