// Data cards of listings, from the nodes of their sellers.
import { createHost, createIdentity, fetchBlock, type Host } from "@skynet/network";
import { MAX_CARD_BYTES, matchesCid, parseCard, SkyNetError, type Hex } from "@skynet/protocol";
import type { MarketListing } from "../market/listings.ts";

const CONNECT_MS = 10_000;
/** How long a seller may take that is online but says nothing. */
const SILENCE_MS = 10_000;

/** CID of the card of a listing; undefined when it has none. */
export const cardOf = ({ metadata }: Pick<MarketListing, "metadata">): string | undefined =>
  metadata?.kind === "data" ? metadata.card : undefined;

/**
 * The card of a listing from its seller, checked against its CID and cleaned.
 * @throws SkyNetError `SellerOffline`; InvalidInputError `BadCard` for what is none; the signal's reason
 */
export async function fetchCard(host: Host, seller: Hex, cid: string, signal: AbortSignal): Promise<string> {
  const bytes = await fetchBlock(host, seller, cid, { signal, silenceMs: SILENCE_MS }).catch((cause: Error) => {
    signal.throwIfAborted();
    throw new SkyNetError("SellerOffline", `the seller does not serve the data card now: ${cause.message}`, {
      cause,
      hint: "its host is offline, or has not found a relay; try again later",
    });
  });
  if (bytes.length > MAX_CARD_BYTES || !(await matchesCid(cid, bytes)))
    throw new SkyNetError("BadCard", "the seller serves something else as its data card", { hint: "do not trust it" });
  return parseCard(bytes);
}

export interface CardReaderOptions {
  readonly relays: readonly string[];
  /** Other sources of relays, see `openDiscovery`. */
  readonly discovery?: Pick<Parameters<typeof createHost>[0], "relaySources" | "peerBook">;
  readonly signal: AbortSignal;
}

/**
 * The card of a listing, for somebody who has no node: one is opened for a moment, with a key of its own.
 * @throws as {@link fetchCard}; SkyNetError `RelayUnreachable`
 */
export async function readCard(
  { seller, metadata }: Pick<MarketListing, "seller" | "metadata">,
  { relays, discovery, signal }: CardReaderOptions,
): Promise<string | undefined> {
  const cid = cardOf({ metadata });
  if (cid === undefined) return undefined;
  const identity = createIdentity(crypto.getRandomValues(new Uint8Array(32)));
  const host = await createHost({ identity, listen: [], relays: [...relays], upnp: false, ...discovery, signal });
  try {
    await host
      .connected({ signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]) })
      .catch((cause: Error) => {
        signal.throwIfAborted();
        throw new SkyNetError("RelayUnreachable", "no relay answers, so the data card cannot be fetched", {
          cause,
          hint: "check --relay; npx skynet doctor tells",
        });
      });
    return await fetchCard(host, seller, cid, signal);
  } finally {
    await host.stop();
  }
}
