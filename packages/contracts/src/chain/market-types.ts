import type { Hex } from "@skynet/protocol";
import type { Point } from "@skynet/proof";
import type { ContractEventArgsFromTopics, ContractEventName, TransactionReceipt } from "viem";
import type { catalogAbi, inferenceBoardAbi } from "./abi.ts";
import type { EventPlace } from "./events.ts";
import type { WriteOptions } from "./transactions.ts";
import type { PollOptions } from "./types.ts";

/** What a listing sells; the contract's constants. */
export const ListingKind = { DATA: 1, MODEL: 2 } as const;

/** States of a purchase. */
export const PurchaseState = { NEW: 1, DELIVERED: 2, PAID: 3, REFUNDED: 4 } as const;

/** States of an inference order. */
export const InferenceState = { OPEN: 1, PAID: 2, REFUNDED: 3 } as const;

/** Longest CID and metadata of a listing, reference to an input, and answer, in bytes. */
export const MARKET_LIMITS = { cid: 128, meta: 4096, xRef: 1024, z: 1024 } as const;

/** What a seller offers. A free listing has price, key commitment and bond 0. */
export interface ListingTerms {
  /** See {@link ListingKind}. */
  readonly kind: number;
  /** Number of a licence; the contract gives it no meaning. */
  readonly licence: number;
  readonly token: Hex;
  readonly price: bigint;
  /** From the seller's Ledger balance; compensates buyers who got a wrong key. */
  readonly bond: bigint;
  /** Data: root over the batches. Model: id of the weights. */
  readonly contentRoot: Hex;
  /** keccak256 of the 32-byte key. */
  readonly keyCommit: Hex;
  /** Data: number of batches and shape. Model: hash of the circuit. */
  readonly aux: Hex;
  readonly cid: string;
  /** Only published; written by the seller, so parse it like any message. */
  readonly meta: Hex;
}

/** A listing as the contract stores it now. */
export interface ChainListing extends Omit<ListingTerms, "cid" | "meta"> {
  readonly listingId: Hex;
  readonly seller: Hex;
  /** Block of the listing. */
  readonly since: bigint;
  readonly active: boolean;
  /** What no open order has reserved. */
  readonly bond: bigint;
  /** keccak256 of the CID. */
  readonly cidHash: Hex;
}

/** A listing as it was published. */
export interface PublishedListing extends EventPlace {
  readonly listingId: Hex;
  readonly seller: Hex;
  readonly terms: ListingTerms;
}

/** A purchase. Points of the curve BN254; `R` and `sealedKey` are undefined until the delivery. */
export interface ChainPurchase {
  readonly orderId: Hex;
  readonly listingId: Hex;
  readonly buyer: Hex;
  /** Unix seconds of the purchase, then of the delivery. */
  readonly at: number;
  /** See {@link PurchaseState}. */
  readonly state: number;
  readonly price: bigint;
  /** Part of the bond that a wrong key costs the seller. */
  readonly share: bigint;
  readonly B: Point;
  readonly R: Point | undefined;
  readonly sealedKey: Hex | undefined;
}

/** Seconds. The seller delivers within `delivery`; the buyer may cancel after `cancel`, complain within `complaint`. */
export interface CatalogWindows {
  readonly delivery: number;
  readonly cancel: number;
  readonly complaint: number;
}

type CatalogEventName = ContractEventName<typeof catalogAbi>;

/** An event of the Catalog. Addresses inside `args` are lower-case. */
export type CatalogEvent = {
  [Name in CatalogEventName]: {
    readonly name: Name;
    readonly args: Readonly<ContractEventArgsFromTopics<typeof catalogAbi, Name>>;
  } & EventPlace;
}[CatalogEventName];

export interface MarketRange {
  readonly fromBlock?: bigint | undefined;
  readonly toBlock?: bigint | undefined;
}

/** Listings and purchases. Writes and reads fail as those of `Chain` do. */
export interface Catalog {
  /** Publishes a listing; the bond comes from the Ledger balance. */
  list(terms: ListingTerms, options?: WriteOptions): Promise<{ listingId: Hex; receipt: TransactionReceipt }>;
  setPrice(listingId: Hex, price: bigint, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Ends the sale for ever; what open orders have not reserved of the bond returns. */
  deactivate(listingId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** `B` from a fresh `createDeliverySecret`, that is stored before this is called. @throws ChainError `PriceChanged` */
  buy(
    listingId: Hex,
    maxPrice: bigint,
    B: Point,
    options?: WriteOptions,
  ): Promise<{ orderId: Hex; price: bigint; receipt: TransactionReceipt }>;
  /** See `sealKey`. Send it before the buyer can cancel: it reveals the key to the buyer, even when it fails. */
  deliver(
    orderId: Hex,
    delivery: { readonly R: Point; readonly sealedKey: Hex },
    options?: WriteOptions,
  ): Promise<TransactionReceipt>;
  /** Reveals the secret to show that the key is wrong. @throws ChainError `KeyIsRight` */
  complain(orderId: Hex, secret: bigint, options?: WriteOptions): Promise<TransactionReceipt>;
  cancel(orderId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** The timeout exit: refunds what was not delivered, pays what nobody complained about. */
  tick(orderId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** @throws ChainError `UnknownListing` */
  listing(listingId: Hex): Promise<ChainListing>;
  /** CID, metadata and first price of a listing. @throws ChainError `UnknownListing` */
  published(listingId: Hex): Promise<PublishedListing>;
  /** All listings in the order of publication, active or not. */
  listings(filter?: MarketRange & { readonly seller?: Hex; readonly kind?: number }): Promise<PublishedListing[]>;
  /** @throws ChainError `UnknownOrder` */
  order(orderId: Hex): Promise<ChainPurchase>;
  /** Ids of purchases in their order. */
  orderIds(filter?: MarketRange & { readonly listingId?: Hex; readonly buyer?: Hex }): Promise<Hex[]>;
  windows(): Promise<CatalogWindows>;
  events(filter?: MarketRange & { readonly listingId?: Hex }): Promise<CatalogEvent[]>;
  /** Polls for events until the signal aborts; survives an unreachable endpoint. */
  watch(options: PollOptions<CatalogEvent>): Promise<void>;
}

/** What a host offers. */
export interface OfferTerms {
  /** Id of the weights, as the verifier takes it. */
  readonly modelId: Hex;
  /** Of kind INFER; the logits must be public in its circuit. */
  readonly verifierId: Hex;
  /** `outputTag` of the circuit's proof key. */
  readonly outputTag: Hex;
  readonly token: Hex;
  readonly price: bigint;
  /** Seconds from 1 to 7 days. */
  readonly maxLatency: number;
  /** Only published; written by the host, so parse it like any message. */
  readonly meta: Hex;
}

/** An offer as it was published. */
export interface PublishedOffer extends EventPlace {
  readonly offerId: Hex;
  readonly host: Hex;
  readonly terms: OfferTerms;
}

export interface ChainOffer extends Omit<OfferTerms, "meta"> {
  readonly offerId: Hex;
  readonly host: Hex;
  readonly active: boolean;
  /** Block of the offer. */
  readonly since: bigint;
}

export interface ChainInferenceOrder {
  readonly orderId: Hex;
  readonly offerId: Hex;
  readonly requester: Hex;
  /** Unix seconds of the request. */
  readonly at: number;
  /** See {@link InferenceState}. */
  readonly state: number;
  readonly price: bigint;
  /** Id of the input. */
  readonly xId: Hex;
}

type InferenceEventName = ContractEventName<typeof inferenceBoardAbi>;

/** An event of the InferenceBoard. Addresses inside `args` are lower-case. */
export type InferenceEvent = {
  [Name in InferenceEventName]: {
    readonly name: Name;
    readonly args: Readonly<ContractEventArgsFromTopics<typeof inferenceBoardAbi, Name>>;
  } & EventPlace;
}[InferenceEventName];

/** Offers and orders of proven answers. Writes and reads fail as those of `Chain` do. */
export interface InferenceBoard {
  offer(terms: OfferTerms, options?: WriteOptions): Promise<{ offerId: Hex; receipt: TransactionReceipt }>;
  setPrice(offerId: Hex, price: bigint, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Takes no more requests; open orders can still be answered. */
  close(offerId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** `xRef` tells the host where the input is; everybody sees it. @throws ChainError `PriceChanged` */
  request(
    offerId: Hex,
    maxPrice: bigint,
    input: { readonly xId: Hex; readonly xRef: Uint8Array },
    options?: WriteOptions,
  ): Promise<{ orderId: Hex; price: bigint; receipt: TransactionReceipt }>;
  /** `z` from `encodeLogits`; the proof is made for `statement`. Pays the host, whoever sends it. */
  answer(orderId: Hex, z: Uint8Array, proof: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Refunds an order that was not answered in time. */
  tick(orderId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** @throws ChainError `UnknownOffer` */
  offerOf(offerId: Hex): Promise<ChainOffer>;
  /** Metadata and first price of an offer. @throws ChainError `UnknownOffer` */
  published(offerId: Hex): Promise<PublishedOffer>;
  /** All offers in the order of publication, active or not. */
  offers(filter?: MarketRange & { readonly host?: Hex; readonly modelId?: Hex }): Promise<PublishedOffer[]>;
  /** @throws ChainError `UnknownOrder` */
  order(orderId: Hex): Promise<ChainInferenceOrder>;
  /** What a proof of an answer must be made for. @throws ChainError `UnknownOrder` */
  statement(orderId: Hex, z: Uint8Array): Promise<{ context: Hex; idOut: Hex }>;
  events(filter?: MarketRange & { readonly offerId?: Hex }): Promise<InferenceEvent[]>;
  /** Polls for events until the signal aborts; survives an unreachable endpoint. */
  watch(options: PollOptions<InferenceEvent>): Promise<void>;
}
