import {
  type Chain,
  type ChainListing,
  ListingKind,
  type PublishedListing,
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
import { isId } from "../cli/format.ts";

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

type Described = "name" | "description" | "metadata";

/** A listing with what its metadata say. */
export function describeListing(
  { licence, ...listing }: Omit<MarketListing, Described | "licence"> & { licence: number },
  meta: Hex,
): MarketListing {
  const metadata = readMetadata(meta, listing.kind);
  return { ...listing, licence: licenceName(licence), ...texts(metadata), metadata };
}

/** An offer with what its metadata say. */
export function describeOffer(offer: Omit<MarketOffer, Described>, meta: Hex): MarketOffer {
  const metadata = readMetadata(meta, "answers");
  return { ...offer, ...texts(metadata), metadata };
}

const texts = (metadata: MarketMetadata | undefined) => ({
  name: cleanText(metadata?.name ?? UNREADABLE, 100),
  description: cleanText(metadata?.description ?? "", 2000),
});

function toListing({ terms }: PublishedListing, now: ChainListing): MarketListing {
  const { since: _since, cidHash: _hash, kind, ...listing } = now;
  return describeListing({ ...listing, kind: kindOf(kind), cid: terms.cid }, terms.meta);
}

/** @throws ChainError `UnknownListing` */
export async function readListing(chain: Chain, listingId: Hex): Promise<MarketListing> {
  const [published, now] = await Promise.all([chain.catalog.published(listingId), chain.catalog.listing(listingId)]);
  return toListing(published, now);
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
    published.map(async (listing) => toListing(listing, await chain.catalog.listing(listing.listingId))),
  );
  return filter.inactive ? all : all.filter(({ active }) => active);
}

async function toOffer(chain: Chain, { offerId, terms }: PublishedOffer): Promise<MarketOffer> {
  const { since: _since, ...offer } = await chain.inference.offerOf(offerId);
  return describeOffer(offer, terms.meta);
}

/** @throws ChainError `UnknownOffer` */
export const readOffer = async (chain: Chain, offerId: Hex): Promise<MarketOffer> =>
  toOffer(chain, await chain.inference.published(offerId));

export async function readOffers(
  chain: Chain,
  filter: { host?: Hex; inactive?: boolean } = {},
): Promise<MarketOffer[]> {
  const published = await chain.inference.offers(filter.host ? { host: filter.host } : {});
  const all = await Promise.all(published.map((offer) => toOffer(chain, offer)));
  return filter.inactive ? all : all.filter(({ active }) => active);
}

/**
 * The only id that begins with these digits.
 * @throws InvalidInputError `NoSuchListing`
 */
export function onlyMatch(ids: readonly Hex[], prefix: string, what: string, command: string): Hex {
  const matches = ids.filter((id) => isId(id, prefix));
  if (matches.length === 1) return matches[0]!;
  const text = cleanText(prefix, 70);
  throw new InvalidInputError(
    "NoSuchListing",
    matches.length === 0 ? `there is no ${what} ${text} on this chain` : `${matches.length} of them begin with ${text}`,
    { hint: `${command} shows the ids` },
  );
}
