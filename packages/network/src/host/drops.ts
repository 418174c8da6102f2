/** Why something that arrived was not processed. */
export type DropReason =
  | "oversized"
  | "undecodable"
  | "badSignature"
  | "replayed"
  | "clockAhead" // numbered from a time far in the future
  | "unknownSender"
  | "notForUs" // no group key that we have opens it
  | "unencrypted" // plain text where a group key is required
  | "rateLimited"
  | "handlerError"
  | "refusedBlock"
  | "refusedUpdate"
  | "unsolicited" // pushed to a light node that did not ask for it
  | "slowReader" // a light node that takes its messages too slowly
  | "badStream" // a direct stream that broke the protocol or stalled
  | "refusedConnection" // too many, too fast, or from a peer that is refused
  | "failedHandshake" // a connection that ended before it was encrypted
  | "bannedPeer"; // a peer that was dropped for what it did

/** Counts what was dropped, by reason. */
export interface Drops {
  count(reason: DropReason): void;
  snapshot(): Partial<Record<DropReason, number>>;
}

export function createDrops(): Drops {
  const counts: Partial<Record<DropReason, number>> = {};
  return {
    count(reason) {
      counts[reason] = (counts[reason] ?? 0) + 1;
    },
    snapshot: () => ({ ...counts }),
  };
}
