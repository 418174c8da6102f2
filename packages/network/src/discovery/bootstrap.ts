import { reasonOf, NetworkError } from "../errors.ts";
import type { Log } from "../host/log.ts";
import { checkRelayList, readRelayList, type ListCheck, type RelayList } from "./relay-list.ts";
import type { RelaySource } from "./relay-source.ts";
import type { DocumentStore } from "./document-store.ts";

export interface BootstrapOptions extends Omit<ListCheck, "nowMs"> {
  /** Fetches the document from its file or URL. */
  readonly load: (signal: AbortSignal) => Promise<Uint8Array>;
  /** Keeps the newest valid list for the next start. */
  readonly cache: DocumentStore;
  readonly clock: () => number;
  readonly log: Log;
}

/** A list that was read is asked for again after this time, one that failed sooner. */
const RELOAD_MS = 60 * 60_000;
const RETRY_MS = 30_000;

/** Relays of a signed list: the newest valid one of its publishers, also while it cannot be fetched. */
export function bootstrapRelays(options: BootstrapOptions): RelaySource {
  const { cache, clock, log } = options;
  let newest: RelayList | undefined;
  let started = false;
  let nextMs = 0;
  const complaints = new Set<string>();

  /** @throws NetworkError `BadList` when the list is not valid now, or older than the one that is known */
  const take = (bytes: Uint8Array): boolean => {
    const list = readRelayList(bytes);
    checkRelayList(list, { ...options, nowMs: clock() });
    if (newest !== undefined && list.sequence < newest.sequence)
      throw new NetworkError("BadList", `list ${list.sequence} is older than list ${newest.sequence}, which is known`, {
        hint: "its publisher's server may have been rolled back; the newer one stays in use",
      });
    const isNew = newest?.sequence !== list.sequence;
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
    started = true;
    try {
      const kept = await cache.read();
      if (kept !== undefined) take(kept);
    } catch (error) {
      complain(error, "the kept list of relays is not used");
    }
  };
  return {
    name: "bootstrap",
    async relays(signal) {
      if (!started) await open();
      if (clock() >= nextMs) {
        nextMs = clock() + RETRY_MS;
        try {
          const bytes = await options.load(signal);
          if (take(bytes)) await cache.write(bytes);
          nextMs = clock() + RELOAD_MS;
        } catch (error) {
          complain(error, "the list of relays is not used");
        }
      }
      if (newest !== undefined && newest.expiresMs <= clock()) newest = undefined;
      return newest?.relays ?? [];
    },
  };
}
