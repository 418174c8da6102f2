import type { Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import { MAX_PART_BYTES } from "./block-messages.ts";
import type { BlockLink } from "./block-link.ts";
import { beginSegment, GUESSED_BYTES, learnSize, restart, type Task } from "./transfer-task.ts";

/** A peer that blocks are fetched from. */
export interface Source {
  readonly peer: Hex;
  readonly link: BlockLink;
  readonly leases: Set<Lease>;
  bytes: number;
  bytesAtTick: number;
  /** Bytes per second, smoothed. */
  rate: number;
  /** When it was last asked for a block, milliseconds on the transfer's clock. */
  leasedMs: number;
  /** In a row, without a byte between them. */
  failures: number;
  /** `resting`: tried again after a while; `dropped`: never again. */
  state: "active" | "resting" | "dropped";
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** A block that a peer is asked for. */
export interface Lease {
  readonly task: Task;
  readonly source: Source;
  readonly stop: AbortController;
  readonly sinceMs: number;
  ended: boolean;
}

const LEAST_PART_BYTES = 16 * 1024;

const firstPartBytes = ({ ref: { expectedBytes = GUESSED_BYTES } }: Task) =>
  Math.min(MAX_PART_BYTES, Math.max(LEAST_PART_BYTES, expectedBytes));

interface FetchTaskOptions {
  readonly silenceMs: number;
  readonly onBytes: () => void;
  readonly allocate: (bytes: number) => Uint8Array;
}

/**
 * Gets the rest of a block, in parts that are all asked for at once.
 * @throws NetworkError `BadBlock` when the sizes contradict each other, and whatever the link throws
 */
export async function fetchTask(lease: Lease, { silenceMs, onBytes, allocate }: FetchTaskOptions): Promise<void> {
  const { task, source, stop } = lease;
  const { peer, link } = source;
  const segment = beginSegment(task, peer, allocate);
  let contradiction: NetworkError | undefined;
  let doubtful = false;
  const learn = (size: number): boolean => {
    try {
      doubtful ||= !learnSize(task, size, peer);
    } catch (error) {
      contradiction = error as NetworkError;
    }
    return !doubtful && contradiction === undefined;
  };
  const get = async (from: number, length: number, open = false): Promise<void> => {
    const size = await link.get(
      {
        cid: task.ref.cid,
        from,
        length,
        open,
        target: (size) => (!lease.ended && learn(size) ? task.buffer.subarray(from) : undefined),
        onBytes: (count) => {
          if (lease.ended || doubtful || contradiction !== undefined) return;
          task.have += count;
          task.hash.follow(task.buffer, task.have);
          segment.to += count;
          source.bytes += count;
          onBytes();
        },
      },
      { signal: stop.signal, silenceMs },
    );
    if (size !== undefined) learn(size);
    else if (!lease.ended) throw new NetworkError("Malformed", `${peer} did not answer a request`);
  };
  if (task.size === undefined) await get(task.have, firstPartBytes(task), true);
  const parts: Promise<void>[] = [];
  const partBytes = Math.min(MAX_PART_BYTES, Math.max(LEAST_PART_BYTES, Math.floor(link.window.bytes / 8)));
  const end = lease.ended || contradiction !== undefined || doubtful ? 0 : task.size!;
  for (let from = task.have; from < end; from += partBytes) parts.push(get(from, Math.min(partBytes, end - from)));
  await Promise.all(parts);
  if (lease.ended) return;
  if (contradiction !== undefined) throw contradiction;
  if (doubtful) restart(task);
  if (doubtful || task.have !== task.size)
    throw new NetworkError("Unreachable", `${peer} says another size of block ${task.ref.cid} than others`);
}
