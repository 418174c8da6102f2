import { ListingKind, type Chain } from "@skynet/contracts";
import type { IndexClient, IndexedListing, IndexedOffer } from "@skynet/indexer";
import type { Hex } from "@skynet/protocol";
import { readListings, readOffers, toListing, toOffer } from "../market/listings.ts";
import type { ContentKind, MarketListing, MarketOffer } from "../market/listings.ts";
import type { TokenInfo } from "../roles/token.ts";
import { formatAmount } from "./format.ts";
import { allEntries, matches } from "./index-choice.ts";
import { createTokens } from "./shop.ts";

export interface SaleFilter {
  readonly search?: string | undefined;
  /** Seller, or host. */
  readonly owner?: Hex | undefined;
  /** Also those whose sale has ended. */
  readonly inactive: boolean;
}

/** Where lists of what is for sale come from; whoever buys reads the chain. */
export interface SaleSource {
  listings(kind: ContentKind, filter: SaleFilter): Promise<MarketListing[]>;
  offers(filter: SaleFilter): Promise<MarketOffer[]>;
  /** Of a token of the listed entries, for people. */
  amount(token: Hex, value: bigint): Promise<string>;
}

export function chainSales(chain: Chain): SaleSource {
  const infoOf = createTokens(chain.rpcUrl);
  const found = <Sale extends MarketListing | MarketOffer>(sales: Sale[], { search }: SaleFilter) =>
    sales.filter((sale) => matches(search, sale.name, sale.description, JSON.stringify(Object.values(sale), textOf)));
  return {
    listings: async (kind, filter) => {
      const { owner, inactive } = filter;
      return found(await readListings(chain, { kind, inactive, ...(owner ? { seller: owner } : {}) }), filter);
    },
    offers: async (filter) => {
      const { owner, inactive } = filter;
      return found(await readOffers(chain, { inactive, ...(owner ? { host: owner } : {}) }), filter);
    },
    amount: async (token, value) => formatAmount(value, await infoOf(token)),
  };
}

const textOf = (_name: string, value: unknown) => (typeof value === "bigint" ? value.toString() : value);

export function indexSales(index: IndexClient): SaleSource {
  const tokens = new Map<Hex, TokenInfo>();
  const note = ({ token: { address, symbol, decimals } }: IndexedListing | IndexedOffer) =>
    tokens.set(address, { symbol: symbol ?? `units of ${address}`, decimals: decimals ?? 0 });
  const query = ({ search, inactive }: SaleFilter) => ({
    ...(search === undefined ? {} : { q: search }),
    ...(inactive ? {} : { active: true }),
  });
  return {
    listings: async (kind, filter) => {
      const items = await allEntries(index.listings, { ...query(filter), kind, seller: filter.owner });
      return items.map((item) => {
        note(item);
        const { id, kind: _kind, token, ...rest } = item;
        const number = item.kind === "data" ? ListingKind.DATA : ListingKind.MODEL;
        return toListing(item, { ...rest, listingId: id, kind: number, token: token.address });
      });
    },
    offers: async (filter) => {
      const items = await allEntries(index.offers, { ...query(filter), host: filter.owner });
      return items.map((item) => {
        note(item);
        const { id, host, active, price, maxLatency, modelId, verifierId, outputTag, token } = item;
        const now = { offerId: id, host, active, price, maxLatency, modelId, verifierId, outputTag };
        return toOffer(item.meta, { ...now, token: token.address });
      });
    },
    amount: async (token, value) => formatAmount(value, tokens.get(token)!),
  };
}
