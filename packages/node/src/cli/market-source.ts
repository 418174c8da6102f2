import type { IndexClient, IndexedListing, IndexedOffer } from "@skynet/indexer";
import type { Chain } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import {
  describeListing,
  describeOffer,
  readListings,
  readOffers,
  type ContentKind,
  type MarketListing,
  type MarketOffer,
} from "../market/listings.ts";
import type { TokenInfo } from "../roles/token.ts";
import { openReader } from "./account.ts";
import { formatAmount } from "./format.ts";
import { allEntries, chooseIndex, matches, tokenOf, type IndexChoice } from "./index-choice.ts";
import { createTokens } from "./shop.ts";
import type { Ui } from "./ui.ts";

export interface MarketFilter {
  readonly search?: string;
  readonly seller?: Hex;
  /** Also what is no longer for sale. */
  readonly inactive?: true;
}

/** Where lists of the market come from. Purchases read the chain: an index can omit or lie. */
export interface MarketSource {
  /** Oldest first. */
  listings(kind: ContentKind, filter: MarketFilter): Promise<MarketListing[]>;
  offers(filter: MarketFilter): Promise<MarketOffer[]>;
  /** Of a token of what was listed, for people. */
  amount(token: Hex, value: bigint): Promise<string>;
}

/** The index that is configured, else the chain. */
export async function openMarketSource(options: IndexChoice, ui: Ui): Promise<MarketSource> {
  const index = await chooseIndex(options, ui);
  return index === undefined ? chainSource(await openReader(options)) : indexSource(index);
}

function chainSource(chain: Chain): MarketSource {
  const infoOf = createTokens(chain.rpcUrl);
  const found = (search: string | undefined, { name, description, ...sale }: MarketListing | MarketOffer) =>
    matches(
      search,
      name,
      description,
      ...("listingId" in sale ? [sale.listingId, sale.seller] : [sale.offerId, sale.host]),
    );
  return {
    listings: async (kind, { search, seller, inactive = false }) => {
      const listings = await readListings(chain, { kind, inactive, ...(seller ? { seller } : {}) });
      return listings.filter((listing) => found(search, listing));
    },
    offers: async ({ search, seller, inactive = false }) => {
      const offers = await readOffers(chain, { inactive, ...(seller ? { host: seller } : {}) });
      return offers.filter((offer) => found(search, offer));
    },
    amount: async (token, value) => formatAmount(value, await infoOf(token)),
  };
}

function indexSource(index: IndexClient): MarketSource {
  const tokens = new Map<Hex, TokenInfo>();
  const noted = <Sale extends IndexedListing | IndexedOffer>(sales: Sale[]): Sale[] => {
    for (const { token } of sales) tokens.set(token.address, tokenOf(token));
    return sales;
  };
  const queryOf = ({ search, inactive }: MarketFilter) => ({
    ...(search === undefined ? {} : { q: search }),
    ...(inactive ? {} : { active: true }),
  });
  return {
    listings: async (kind, filter) => {
      const { seller } = filter;
      const found = await allEntries(index.listings, { ...queryOf(filter), kind, ...(seller ? { seller } : {}) });
      return noted(found).map(({ id, meta, token, seller: by, active, price, bond, cid, ...rest }) => {
        const { contentRoot, keyCommit, aux, licence } = rest;
        const identity = { listingId: id, kind, seller: by, cid, contentRoot, keyCommit, aux, licence };
        return describeListing({ ...identity, active, token: token.address, price, bond }, meta);
      });
    },
    offers: async (filter) => {
      const { seller } = filter;
      const found = await allEntries(index.offers, { ...queryOf(filter), ...(seller ? { host: seller } : {}) });
      return noted(found).map(
        ({ id, meta, token, host, active, price, maxLatency, modelId, verifierId, outputTag }) => {
          const identity = { offerId: id, host, modelId, verifierId, outputTag };
          return describeOffer({ ...identity, active, token: token.address, price, maxLatency }, meta);
        },
      );
    },
    // no chain is needed for a list: the index says what tokens are called
    amount: async (token, value) => formatAmount(value, tokens.get(token) ?? { decimals: 0, symbol: token }),
  };
}
