import { concatBytes, sha256, toHex, type Hex } from "@skynet/protocol";
import { backoffMs, deadlineSignal, delay } from "../timing/delay.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { frame, type FramedStream } from "../host/framed-stream.ts";
import type { Host } from "../host/types.ts";
import { checkReceipt, updateIdSchema, type Receipt, type UpdateId } from "./receipt.ts";
import { readWithin } from "./receive-updates.ts";
import {
  blocksOfOffer,
  CHUNK_BYTES,
  chunkOf,
  encodeOffer,
  MAX_CONTROL_BYTES,
  parseAnswer,
  UPDATE_PROTOCOL,
  type Offer,
} from "./update-messages.ts";

export interface UpdateProgress {
  /** Bytes that were sent to the receiver, at the end all of them. */
  readonly sentBytes: number;
  readonly totalBytes: number;
  /** Attempt, from 1. */
  readonly attempt: number;
}

export interface SendUpdateOptions {
  /** When to give up, milliseconds since the epoch on the host's clock: the end of the round. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: UpdateProgress) => void) | undefined;
  /** Longest silence of the receiver within one attempt, milliseconds (20,000). */
  readonly stallMs?: number | undefined;
}

/** A receipt that was checked, with its bytes as evidence. */
export interface DeliveredUpdate {
  readonly receipt: Receipt;
  readonly receiptBytes: Uint8Array;
}

const expired = () => new NetworkError("NotDelivered", "the deadline passed");

/**
 * Sends content to one peer and repeats until the peer has confirmed it with a signed receipt, or the deadline passes.
 * An interrupted transfer goes on where it stopped.
 * @throws NetworkError `NotDelivered` with the last cause (`Refused`, `Rejected`, `Unreachable`, `BadReceipt`, ...)
 */
export async function sendUpdate(
  host: Host,
  to: Hex,
  id: UpdateId,
  content: Uint8Array,
  options: SendUpdateOptions,
): Promise<DeliveredUpdate> {
  const offer = await offerOf(id, content);
  const expected: Receipt = { ...id, hash: toHex(offer.hash), sender: host.identity.address, receiver: to };
  let last: unknown = new NetworkError("Unreachable", "the deadline had passed before the first attempt");
  const leftMs = Math.max(0, options.deadlineMs - host.clock());
  const deadline = deadlineSignal(leftMs, expired, options.signal, host.signal);
  const served = serveChunks(host, to, offer, content);
  try {
    for (let attempt = 1; !deadline.signal.aborted; attempt++) {
      try {
        const report = (sentBytes: number) => options.onProgress?.({ sentBytes, totalBytes: content.length, attempt });
        served.report = report;
        const receiptBytes = await attemptOnce(host, to, { offer, report, options, signal: deadline.signal });
        checkReceipt(receiptBytes, expected);
        return { receipt: expected, receiptBytes };
      } catch (error) {
        if (error instanceof NetworkError && error.code === "BadReceipt") host.offend(to, "badSignature");
        if (!deadline.signal.aborted || error !== deadline.signal.reason) last = error;
        host.log.debug({ to, round: id.round, attempt, error: reasonOf(error) }, "an update was not delivered yet");
      }
      await delay(backoffMs(attempt - 1, 200, 5000, host.random), deadline.signal).catch(() => undefined);
    }
  } finally {
    served.end();
    deadline.clear();
  }
  options.signal?.throwIfAborted();
  throw new NetworkError("NotDelivered", `${to} did not confirm the update of round ${id.round}: ${reasonOf(last)}`, {
    cause: last,
    hint: "the receiver may be offline, not assigned, or may have found the update wrong; see the cause",
  });
}

/** Lets the receiver, and nobody else, fetch the chunks. */
function serveChunks(host: Host, to: Hex, offer: Offer, content: Uint8Array) {
  const indices = new Map(blocksOfOffer(offer).map(({ cid }, index) => [cid, index]));
  let sentBytes = 0;
  const served = { report: (_sentBytes: number): void => undefined, end: (): void => undefined };
  served.end = host.bulk.provide({
    allow: (peer, cid) => peer === to && indices.has(cid),
    get: async (cid) => chunkOf(content, indices.get(cid)!),
    onServed: (_peer, _cid, bytes) => {
      sentBytes = Math.min(content.length, sentBytes + bytes);
      served.report(sentBytes);
    },
  });
  return served;
}

interface Attempt {
  readonly offer: Offer;
  readonly report: (sentBytes: number) => void;
  readonly options: SendUpdateOptions;
  readonly signal: AbortSignal;
}

async function attemptOnce(host: Host, to: Hex, attempt: Attempt): Promise<Uint8Array> {
  const { signal } = attempt;
  const stream = frame(await host.openStream(to, UPDATE_PROTOCOL, { signal }));
  const abort = () => stream.abort(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  try {
    const receipt = await exchange(stream, attempt);
    await stream.close();
    return receipt;
  } catch (error) {
    stream.abort(error as Error);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** One conversation: the offer, what the receiver says while it fetches the chunks, its verdict. */
async function exchange(stream: FramedStream, attempt: Attempt): Promise<Uint8Array> {
  const { offer, report, options, signal } = attempt;
  const { stallMs = 20_000 } = options;
  await stream.write(encodeOffer(offer));
  for (;;) {
    const answer = parseAnswer(await readWithin(stream, MAX_CONTROL_BYTES, stallMs, signal));
    switch (answer.t) {
      case "working":
        break;
      case "receipt":
        report(offer.size);
        return answer.receipt;
      case "refused":
        throw new NetworkError("Refused", `the receiver refuses the update: ${answer.reason}`);
      case "rejected":
        throw new NetworkError("Rejected", `the receiver does not accept the update: ${answer.reason}`);
    }
  }
}

/** @throws NetworkError `BadOption`, `TooLarge` */
async function offerOf(id: UpdateId, content: Uint8Array): Promise<Offer> {
  const parsed = updateIdSchema.safeParse({ job: id.job, round: id.round, kind: id.kind });
  if (!parsed.success || content.length === 0)
    throw new NetworkError("BadOption", "an update has a job, a round, a kind and content", {
      cause: parsed.error,
      hint: "job: hexadecimal; round: 32-bit integer; kind: up to 32 lower-case letters, digits, hyphens",
    });
  const count = Math.ceil(content.length / CHUNK_BYTES);
  if (32 * count > MAX_CONTROL_BYTES - 1024)
    throw new NetworkError("TooLarge", `an update of ${content.length} bytes does not fit one offer (about 2 GB)`);
  const hashes = await Promise.all(Array.from({ length: count }, (_, index) => sha256(chunkOf(content, index))));
  return { ...parsed.data, size: content.length, hash: await sha256(content), chunks: concatBytes(...hashes) };
}
