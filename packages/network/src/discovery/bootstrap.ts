import { reasonOf, NetworkError } from "../errors.ts";
import type { Log } from "../host/log.ts";
import { checkRelayList, readRelayList, type ListCheck, type RelayList } from "./relay-list.ts";
import type { RelaySource } from "./relay-source.ts";
import type { DocumentStore } from "./document-store.ts";
import { openListSequences, type ListSequences } from "./list-sequences.ts";

export interface BootstrapOptions extends Omit<ListCheck, "nowMs"> {
  /** Fetches the document from its file or URL. */
  readonly load: (signal: AbortSignal) => Promise<Uint8Array>;
  /** Keeps the newest valid list for the next start. */
  readonly cache: DocumentStore;
  /** Keeps the highest number of each publisher, so that an older list never comes back. */
  readonly sequences: DocumentStore;
  readonly clock: () => number;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly log: Log;
}

/** A list that was read is asked for again after this time, one that failed sooner. */
const RELOAD_MS = 60 * 60_000;
const RETRY_MS = 30_000;

/** Relays of a signed list: the newest valid one of its publishers, also while it cannot be fetched. */
export function bootstrapRelays(options: BootstrapOptions): RelaySource {
  const { cache, clock, monotonic, log } = options;
  let newest: RelayList | undefined;
  let sequences: ListSequences | undefined;
  let nextMs = -Infinity;
  const complaints = new Set<string>();

  /** @throws NetworkError `BadList` when the list is not valid now, or older than one of its publisher that was known */
  const take = (bytes: Uint8Array, { highest, raise }: ListSequences): boolean => {
    const list = readRelayList(bytes);
    checkRelayList(list, { ...options, nowMs: clock() });
    const { publisher, sequence } = list;
    if (sequence < highest(publisher))
      throw new NetworkError("BadList", `list ${sequence} is older than list ${highest(publisher)}, which is known`, {
        hint: "its publisher's server may have been rolled back; a newer one is needed",
      });
    const isNew = newest?.publisher !== publisher || newest.sequence !== sequence;
    raise(publisher, sequence);
    newest = list;
    return isNew;
  };
  const complain = (error: unknown, message: string) => {
    const reason = reasonOf(error);
    const hint = error instanceof NetworkError ? error.hint : undefined;
    log[complaints.has(reason) ? "debug" : "warn"]({ error: reason, hint }, message);
    complaints.add(reason);
  };
  const open = async () => {
    const opened = await openListSequences(options.sequences, (error) => complain(error, "older lists may be taken"));
    try {
      const kept = await cache.read();
      if (kept !== undefined) take(kept, opened);
    } catch (error) {
      complain(error, "the kept list of relays is not used");
    }
    return opened;
  };
  return {
    name: "bootstrap",
    async relays(signal) {
      sequences ??= await open();
      if (monotonic() >= nextMs) {
        nextMs = monotonic() + RETRY_MS;
        try {
          const bytes = await options.load(signal);
          if (take(bytes, sequences)) await cache.write(bytes);
          await sequences.save();
          nextMs = monotonic() + RELOAD_MS;
        } catch (error) {
          complain(error, "the list of relays is not used");
        }
      }
      if (newest !== undefined && newest.expiresMs <= clock()) newest = undefined;
      return newest?.relays ?? [];
    },
  };
}
