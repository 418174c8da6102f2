import { concatBytes, digestOfCid, equalBytes, sha256, type Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import { MAX_BLOCK_BYTES } from "./block-messages.ts";
import { createBlockHash, type BlockHash } from "./running-hash.ts";

/** A block that is wanted. */
export interface BlockRef {
  readonly cid: string;
  /** Bytes, if known: then parts of it are asked for without waiting for the first one. */
  readonly size?: number | undefined;
  /** About how many, if the size is not known (256 KiB): so many are asked for at first. */
  readonly expectedBytes?: number | undefined;
}

/** A block of known size. */
export type SizedBlock = BlockRef & { readonly size: number };

/** Bytes of a block that one peer sent; `from` and `to` are their place. Undefined: kept from an earlier transfer. */
export interface Segment {
  readonly by: Hex | undefined;
  readonly from: number;
  to: number;
}

interface Suspect {
  readonly segment: Segment;
  readonly digest: Uint8Array;
}

/** A block on its way: its bytes so far, and who sent which. */
export interface Task {
  readonly ref: BlockRef;
  readonly index: number;
  readonly digest: Uint8Array;
  /** Whole size, once known. */
  size: number | undefined;
  buffer: Uint8Array;
  /** Bytes that arrived, from the start. */
  have: number;
  /** Of them. */
  hash: BlockHash;
  /** Bytes of them that are in the partials. */
  keptBytes: number;
  segments: Segment[];
  /** Segments of an earlier version of this block that had another hash. */
  suspects: Suspect[];
  /** Peers that do not have it or do not give it, and why. */
  readonly without: Map<Hex, NetworkError>;
  loaded: boolean;
}

/** What a block of unknown size is taken to have. */
export const GUESSED_BYTES = 256 * 1024;

/** Bytes of a block, as far as known. */
export const sizeOf = ({ size, have, ref }: Task): number => size ?? Math.max(ref.expectedBytes ?? GUESSED_BYTES, have);

export function createTask(ref: BlockRef, index: number): Task {
  if (ref.size !== undefined && (ref.size > MAX_BLOCK_BYTES || ref.size < 0))
    throw new NetworkError("TooLarge", `a block of ${ref.size} bytes, at most ${MAX_BLOCK_BYTES} are allowed`);
  return {
    ref,
    index,
    digest: digestOfCid(ref.cid),
    size: ref.size,
    buffer: new Uint8Array(),
    have: 0,
    hash: createBlockHash(),
    keptBytes: 0,
    segments: [],
    suspects: [],
    without: new Map(),
    loaded: false,
  };
}

/** Takes what an earlier transfer kept. */
export function resumeTask(task: Task, kept: Uint8Array): void {
  task.loaded = true;
  if (kept.length === 0 || kept.length > (task.size ?? MAX_BLOCK_BYTES)) return;
  task.buffer = kept;
  task.have = kept.length;
  task.keptBytes = kept.length;
  task.segments = [{ by: undefined, from: 0, to: kept.length }];
}

/**
 * The size that a peer says. @returns false when somebody else said another one: then it is not known who lies, and the
 * block begins anew
 * @throws NetworkError `BadBlock` when the size was known from the start, or the peer contradicts itself
 */
export function learnSize(task: Task, size: number, peer: Hex): boolean {
  const known = task.size ?? size;
  if (size !== known || size < task.have) {
    if (task.ref.size === undefined && task.segments.some(({ by }) => by !== peer)) return false;
    throw new NetworkError("BadBlock", `${peer} has a block ${task.ref.cid} of ${size} bytes, not of ${known}`);
  }
  task.size = size;
  if (task.buffer.length !== size)
    task.buffer = concatBytes(task.buffer.subarray(0, task.have), new Uint8Array(size - task.have));
  return true;
}

/** Begins a segment in a buffer of its own: the peer before may still write into the old one. */
export function beginSegment(task: Task, by: Hex, allocate: (bytes: number) => Uint8Array): Segment {
  const before = task.buffer.subarray(0, task.have);
  task.buffer = allocate(task.size ?? task.have);
  task.buffer.set(before);
  const segment = { by, from: task.have, to: task.have };
  task.segments.push(segment);
  return segment;
}

/** Forgets what arrived. */
export function restart(task: Task): void {
  task.have = 0;
  task.hash = createBlockHash();
  task.keptBytes = 0;
  task.segments = [];
  task.size = task.ref.size;
  task.buffer = new Uint8Array();
}

/**
 * Checks a block that is whole. @returns whether it is right, and the peers that are known to have lied: at once if one
 * peer sent all of it, else when the right bytes are here to compare with
 */
export async function judge(task: Task): Promise<{ ok: boolean; liars: Hex[] }> {
  const { buffer, segments } = task;
  const part = ({ from, to }: Segment) => sha256(buffer.subarray(from, to));
  const used = segments.filter(({ from, to }) => to > from);
  if (equalBytes(await task.hash.of(buffer), task.digest)) {
    const liars: Hex[] = [];
    for (const { segment, digest } of task.suspects)
      if (segment.by !== undefined && !equalBytes(await part(segment), digest)) liars.push(segment.by);
    return { ok: true, liars };
  }
  const senders = new Set(used.map(({ by }) => by));
  const alone = senders.size === 1 ? [...senders][0] : undefined;
  if (alone === undefined)
    for (const segment of used) task.suspects.push({ segment: { ...segment }, digest: await part(segment) });
  restart(task);
  return { ok: false, liars: alone === undefined ? [] : [alone] };
}
