import {
  type Chain,
  type ChainListing,
  type ChainOffer,
  ListingKind,
  type ListingTerms,
  type PublishedOffer,
} from "@skynet/contracts";
import {
  type AnswersMetadata,
  cleanText,
  type DataMetadata,
  decodeMarketMetadata,
  fromHex,
  InvalidInputError,
  licenceName,
  type MarketMetadata,
  type ModelMetadata,
  type Hex,
} from "@skynet/protocol";

export type ContentKind = "data" | "model";

/** A listing as the chain has it now, with what its seller says of it. */
export interface MarketListing {
  readonly listingId: Hex;
  readonly kind: ContentKind;
  readonly name: string;
  readonly description: string;
  readonly licence: string;
  readonly seller: Hex;
  readonly active: boolean;
  readonly token: Hex;
  /** Units of the token; 0: free. */
  readonly price: bigint;
  readonly bond: bigint;
  readonly cid: string;
  readonly contentRoot: Hex;
  readonly keyCommit: Hex;
  readonly aux: Hex;
  /** Undefined when it cannot be read. */
  readonly metadata: DataMetadata | ModelMetadata | undefined;
}

/** An offer to run a model for money. */
export interface MarketOffer {
  readonly offerId: Hex;
  readonly name: string;
  readonly description: string;
  readonly host: Hex;
  readonly active: boolean;
  readonly token: Hex;
  readonly price: bigint;
  /** Seconds. */
  readonly maxLatency: number;
  readonly modelId: Hex;
  readonly verifierId: Hex;
  readonly outputTag: Hex;
  readonly metadata: AnswersMetadata | undefined;
}

const UNREADABLE = "(metadata not readable)";

/** Strangers write metadata: malformed ones must not hide a listing. */
function readMetadata<Kind extends MarketMetadata["kind"]>(
  meta: Hex,
  kind: Kind,
): Extract<MarketMetadata, { kind: Kind }> | undefined {
  try {
    const metadata = decodeMarketMetadata(fromHex(meta));
    return metadata.kind === kind ? (metadata as Extract<MarketMetadata, { kind: Kind }>) : undefined;
  } catch {
    return undefined;
  }
}

const kindOf = (kind: number): ContentKind => (kind === ListingKind.DATA ? "data" : "model");

/** A listing in words, from its present state and what was published with it. */
export function toListing(
  { cid, meta }: Pick<ListingTerms, "cid" | "meta">,
  now: Omit<ChainListing, "since" | "cidHash">,
): MarketListing {
  const kind = kindOf(now.kind);
  const metadata = readMetadata(meta, kind);
  return {
    listingId: now.listingId,
    kind,
    name: cleanText(metadata?.name ?? UNREADABLE, 100),
    description: cleanText(metadata?.description ?? "", 2000),
    licence: licenceName(now.licence),
    seller: now.seller,
    active: now.active,
    token: now.token,
    price: now.price,
    bond: now.bond,
    cid,
    contentRoot: now.contentRoot,
    keyCommit: now.keyCommit,
    aux: now.aux,
    metadata,
  };
}

/** @throws ChainError `UnknownListing` */
export async function readListing(chain: Chain, listingId: Hex): Promise<MarketListing> {
  const [published, now] = await Promise.all([chain.catalog.published(listingId), chain.catalog.listing(listingId)]);
  return toListing(published.terms, now);
}

/** Listings in the order of publication. */
export async function readListings(
  chain: Chain,
  filter: { kind?: ContentKind; seller?: Hex; inactive?: boolean } = {},
): Promise<MarketListing[]> {
  const published = await chain.catalog.listings({
    ...(filter.kind ? { kind: filter.kind === "data" ? ListingKind.DATA : ListingKind.MODEL } : {}),
    ...(filter.seller ? { seller: filter.seller } : {}),
  });
  const all = await Promise.all(
    published.map(async ({ listingId, terms }) => toListing(terms, await chain.catalog.listing(listingId))),
  );
  return filter.inactive ? all : all.filter(({ active }) => active);
}

/** An offer in words, from its present state and the metadata that were published with it. */
export function toOffer(meta: Hex, now: Omit<ChainOffer, "since">): MarketOffer {
  const metadata = readMetadata(meta, "answers");
  return {
    ...now,
    name: cleanText(metadata?.name ?? UNREADABLE, 100),
    description: cleanText(metadata?.description ?? "", 2000),
    metadata,
  };
}

/** @throws ChainError `UnknownOffer` */
export const readOffer = async (chain: Chain, offerId: Hex): Promise<MarketOffer> =>
  offerNow(chain, await chain.inference.published(offerId));

async function offerNow(chain: Chain, { offerId, terms }: PublishedOffer): Promise<MarketOffer> {
  const { since: _since, ...now } = await chain.inference.offerOf(offerId);
  return toOffer(terms.meta, now);
}

export async function readOffers(
  chain: Chain,
  filter: { host?: Hex; inactive?: boolean } = {},
): Promise<MarketOffer[]> {
  const published = await chain.inference.offers(filter.host ? { host: filter.host } : {});
  const all = await Promise.all(published.map((offer) => offerNow(chain, offer)));
  return filter.inactive ? all : all.filter(({ active }) => active);
}

/**
 * The only id that begins with these digits.
 * @throws InvalidInputError `NoSuchListing`
 */
export function onlyMatch(ids: readonly Hex[], prefix: string, what: string, command: string): Hex {
  const matches = ids.filter((id) => id.startsWith(prefix.toLowerCase()));
  if (matches.length === 1 && /^0x[0-9a-f]+$/i.test(prefix)) return matches[0]!;
  throw new InvalidInputError(
    "NoSuchListing",
    matches.length === 0 || !/^0x[0-9a-f]*$/i.test(prefix)
      ? `there is no ${what} ${cleanText(prefix, 70)} on this chain`
      : `${matches.length} of them begin with ${prefix}`,
    { hint: `${command} shows the ids` },
  );
}
