import { sha256, toHex, type Hex } from "@skynet/protocol";
import { createAssembly, type Assembly } from "./assembly.ts";
import { deadlineSignal } from "../timing/delay.ts";
import { untilAborted } from "../timing/until-aborted.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import type { FramedStream } from "../host/framed-stream.ts";
import type { Host } from "../host/types.ts";
import { signReceipt, type UpdateId } from "./receipt.ts";
import { fetchBlocks } from "./blocks.ts";
import { encodeAnswer, MAX_CONTROL_BYTES, parseOffer, UPDATE_PROTOCOL, type Answer } from "./update-messages.ts";

/** What an update is about, before its content arrives. */
export interface UpdateHeader extends UpdateId {
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of the content. */
  readonly hash: Hex;
}

export type UpdateVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export interface ReceiveUpdatesOptions {
  /** Whether this peer may send this update now; asked before anything is stored. */
  readonly admit: (peerAddress: Hex, header: UpdateHeader) => boolean;
  /** Largest update. */
  readonly maxBytes: number;
  /**
   * Verifies and keeps the content, whose hash is right already. The receipt is signed only after `ok`. Called again
   * for the same content when the sender repeats an update that was not accepted, or long after it was.
   */
  readonly onUpdate: (header: UpdateHeader, from: Hex, bytes: Uint8Array) => UpdateVerdict | Promise<UpdateVerdict>;
  /** Unfinished updates are kept this long for a sender that comes back, milliseconds (600,000). */
  readonly keepMs?: number;
  /**
   * Most bytes of unfinished updates that nobody sends now (8 x maxBytes); the oldest make room. Of those that are being
   * sent, each sender has one for each job, round and kind that it is admitted for.
   */
  readonly maxHeldBytes?: number;
  /** Longest silence of a sender, milliseconds (20,000). */
  readonly stallMs?: number;
}

/** One update of one sender: still arriving, being verified, or done. */
interface Transfer {
  readonly assembly: Assembly;
  /** Sender, job, round and kind: an update of the same ones takes its place. */
  readonly slot: string;
  /** Ends the fetching. */
  readonly stop: AbortController;
  touchedMs: number;
  fetching: Promise<void> | undefined;
  verdict: Promise<Answer> | undefined;
}

const WORKING_EVERY_MS = 3000;
const MAX_RECEIPTS = 1024;
const MAX_TRANSFERS = 256;
const REPLACED = new NetworkError("Rejected", "a newer offer of this update takes its place");

/**
 * Receives updates from admitted peers, resumes interrupted ones, and answers with a signed receipt once `onUpdate`
 * has accepted the content. Others are refused and counted.
 * @returns function that stops receiving
 */
export async function receiveUpdates(host: Host, options: ReceiveUpdatesOptions): Promise<() => Promise<void>> {
  const { admit, maxBytes, stallMs = 20_000 } = options;
  const transfers = createTransfers(host, options);
  const receipts = new Map<string, Uint8Array>();

  const conclude = async (key: string, from: Hex, transfer: Transfer): Promise<Answer> => {
    const header = headerOf(transfer.assembly);
    const verdict = await options.onUpdate(header, from, await transfer.assembly.content());
    if (!verdict.ok) return { t: "rejected", reason: verdict.reason };
    const receipt = signReceipt({ ...header, sender: from }, host.identity);
    if (receipts.size >= MAX_RECEIPTS) receipts.delete(receipts.keys().next().value!);
    receipts.set(key, receipt);
    transfers.delete(key);
    return { t: "receipt", receipt };
  };
  const verdictOf = (key: string, from: Hex, transfer: Transfer): Promise<Answer> => {
    transfer.verdict ??= conclude(key, from, transfer)
      .catch((error: unknown): Answer => {
        host.drops.count("handlerError");
        host.log.warn({ from, error: reasonOf(error) }, "an update could not be verified");
        return { t: "rejected", reason: "the receiver could not verify it" };
      })
      .finally(() => (transfer.verdict = undefined));
    return transfer.verdict;
  };
  const fetchChunks = async (from: Hex, { assembly, stop }: Transfer): Promise<void> => {
    const missing = assembly.missing();
    await fetchBlocks(
      host,
      missing.map(({ ref }) => ref),
      {
        sources: [from],
        signal: stop.signal,
        silenceMs: stallMs,
        partials: assembly.partials,
        onBlock: (index, chunk) => {
          assembly.add(missing[index]!.index, chunk);
          transfers.makeRoom();
        },
      },
    );
  };
  return host.serve(UPDATE_PROTOCOL, async (stream, from) => {
    const offer = parseOffer(await readWithin(stream, MAX_CONTROL_BYTES, stallMs, host.signal));
    const assembly = createAssembly(offer);
    const header = headerOf(assembly);
    const tooLarge = offer.size > maxBytes;
    if (tooLarge || !admit(from, header)) {
      host.drops.count("refusedUpdate");
      host.offend(from, "refused");
      const reason = tooLarge ? `at most ${maxBytes} bytes are accepted` : "not assigned, or not now";
      return stream.write(encodeAnswer({ t: "refused", reason }));
    }
    const key = await keyOf(from, offer.chunks, header);
    const receipt = receipts.get(key);
    if (receipt !== undefined) return stream.write(encodeAnswer({ t: "receipt", receipt }));
    const transfer = transfers.resume(key, slotOf(from, header), assembly);
    if (transfer === undefined)
      return stream.write(encodeAnswer({ t: "rejected", reason: "busy with other updates, come again" }));
    transfer.fetching ??= fetchChunks(from, transfer).finally(() => (transfer.fetching = undefined));
    const verdict = transfer.fetching.then(
      () => verdictOf(key, from, transfer),
      (error: unknown): Answer => {
        if (error === REPLACED) return { t: "rejected", reason: REPLACED.message };
        throw error;
      },
    );
    await stream.write(encodeAnswer(await whileWorking(stream, verdict)));
  });
}

function headerOf({ offer: { job, round, kind, size, hash } }: Assembly): UpdateHeader {
  return { job, round, kind, size, hash: toHex(hash) };
}

const slotOf = (from: Hex, { job, round, kind }: UpdateHeader) => [from, job, round, kind].join(" ");

/** The chunk hashes are part of the key: an offer with wrong ones must not block the right one. */
async function keyOf(from: Hex, chunks: Uint8Array, header: UpdateHeader): Promise<string> {
  const { job, round, kind, size, hash } = header;
  return [from, job, round, kind, size, hash, toHex(await sha256(chunks))].join(" ");
}

function createTransfers(
  host: Host,
  { maxBytes, keepMs = 600_000, maxHeldBytes = 8 * maxBytes }: ReceiveUpdatesOptions,
) {
  const transfers = new Map<string, Transfer>();
  const idle = () =>
    [...transfers].filter(([, { verdict, fetching }]) => verdict === undefined && fetching === undefined);
  return {
    delete: (key: string) => transfers.delete(key),
    /** Undefined: nothing can make room now. */
    resume(key: string, slot: string, assembly: Assembly): Transfer | undefined {
      const nowMs = host.monotonic();
      for (const [old, { slot: taken, verdict, stop }] of transfers) {
        if (taken !== slot || old === key) continue;
        if (verdict !== undefined) return undefined;
        stop.abort(REPLACED);
        transfers.delete(old);
      }
      for (const [old, { touchedMs }] of idle()) if (nowMs - touchedMs > keepMs) transfers.delete(old);
      const transfer = transfers.get(key) ?? {
        assembly,
        slot,
        stop: new AbortController(),
        touchedMs: nowMs,
        fetching: undefined,
        verdict: undefined,
      };
      transfer.touchedMs = nowMs;
      transfers.delete(key);
      const oldest = idle()[0]?.[0];
      if (transfers.size >= MAX_TRANSFERS && oldest === undefined) return undefined;
      if (transfers.size >= MAX_TRANSFERS) transfers.delete(oldest!);
      transfers.set(key, transfer);
      return transfer;
    },
    /** Forgets the unfinished updates that were touched longest ago; their senders start again. */
    makeRoom(): void {
      let held = transfers.values().reduce((sum, { assembly }) => sum + assembly.heldBytes, 0);
      for (const [key, { assembly }] of idle().slice(0, -1)) {
        if (held <= maxHeldBytes) return;
        held -= assembly.heldBytes;
        transfers.delete(key);
      }
    },
  };
}

/** Next frame of a peer that must not stay silent. @throws NetworkError `Stalled`, `Unreachable`, `Malformed` */
export async function readWithin(
  stream: FramedStream,
  maxBytes: number,
  stallMs: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const stalled = () => new NetworkError("Stalled", `the peer sent nothing for ${stallMs / 1000} s`);
  const deadline = deadlineSignal(stallMs, stalled, signal);
  try {
    const frame = await untilAborted(stream.read(maxBytes), deadline.signal);
    if (frame === undefined) throw new NetworkError("Unreachable", "the peer closed the stream");
    return frame;
  } finally {
    deadline.clear();
  }
}

/** Tells the sender every few seconds that its update is on its way or being verified. */
async function whileWorking(stream: FramedStream, verdict: Promise<Answer>): Promise<Answer> {
  const tell = () => void stream.write(encodeAnswer({ t: "working" })).catch(() => undefined);
  const timer = setInterval(tell, WORKING_EVERY_MS);
  try {
    return await verdict;
  } finally {
    clearInterval(timer);
  }
}
