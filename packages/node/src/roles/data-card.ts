// Data cards of listings, from the nodes of their sellers.
import { fetchBlock, type Host } from "@skynet/network";
import { MAX_CARD_BYTES, matchesCid, parseCard, SkyNetError, type Hex } from "@skynet/protocol";
import type { MarketListing } from "../market/listings.ts";
import { openVisitor, type VisitorOptions } from "./visitor.ts";

/** How long a seller may take that is online but says nothing. */
const SILENCE_MS = 10_000;
/** How long a card may take in all: a seller that lets bytes drip is not silent. */
const MOST_MS = 45_000;

/** CID of the card of a listing; undefined when it has none. */
export const cardOf = ({ metadata }: Pick<MarketListing, "metadata">): string | undefined =>
  metadata?.kind === "data" ? metadata.card : undefined;

/**
 * The card of a listing from its seller, checked against its CID and cleaned.
 * @param mostMs longest time in all, milliseconds (45,000)
 * @throws SkyNetError `SellerOffline`, `SellerSlow`; InvalidInputError `BadCard` for what is none; the signal's reason
 */
export async function fetchCard(
  host: Host,
  seller: Hex,
  cid: string,
  { signal, mostMs = MOST_MS }: { signal: AbortSignal; mostMs?: number },
): Promise<string> {
  const tooLong = AbortSignal.timeout(mostMs);
  const bytes = await ask(host, seller, cid, AbortSignal.any([signal, tooLong])).catch((cause: Error) => {
    signal.throwIfAborted();
    if (tooLong.aborted)
      throw new SkyNetError("SellerSlow", `the seller did not send the data card in ${mostMs / 1000} s`, {
        cause,
        hint: "its host is busy or its connection slow; try again later",
      });
    throw new SkyNetError("SellerOffline", `the seller does not serve the data card now: ${cause.message}`, {
      cause,
      hint: "its host is offline, or has not found a relay; try again later",
    });
  });
  if (bytes.length > MAX_CARD_BYTES || !(await matchesCid(cid, bytes)))
    throw new SkyNetError("BadCard", "the seller serves something else as its data card", { hint: "do not trust it" });
  return parseCard(bytes);
}

async function ask(host: Host, seller: Hex, cid: string, signal: AbortSignal): Promise<Uint8Array> {
  // Nobody waits twice for a seller that is away.
  await host.directory.find(seller, { signal });
  return fetchBlock(host, seller, cid, { signal, silenceMs: SILENCE_MS });
}

/**
 * The card of a listing, for somebody who has no node; undefined when the listing has none.
 * @throws as {@link fetchCard} and `openVisitor`
 */
export async function readCard(
  { seller, metadata }: Pick<MarketListing, "seller" | "metadata">,
  options: VisitorOptions,
): Promise<string | undefined> {
  const cid = cardOf({ metadata });
  if (cid === undefined) return undefined;
  const host = await openVisitor(options);
  try {
    return await fetchCard(host, seller, cid, { signal: options.signal });
  } finally {
    await host.stop();
  }
}
