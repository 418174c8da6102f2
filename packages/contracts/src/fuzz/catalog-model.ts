import type { Hex } from "@skynet/protocol";
import { keccak256, stringToHex, zeroAddress, zeroHash } from "viem";
import { CURVE_ORDER } from "../test-curve.ts";
import { factorOf, pointWords } from "./curve-points.ts";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { need, Table } from "./journal.ts";
import { accountOf } from "./ledger-model.ts";
import type { LedgerModel } from "./ledger-model.ts";
import { answerOf, callOf, hashHex, hashText, hashWords } from "./words.ts";

export interface ListingArgument {
  readonly kind: number;
  readonly licence: number;
  readonly token: Hex;
  readonly price: bigint;
  readonly bond: bigint;
  readonly contentRoot: Hex;
  readonly keyCommit: Hex;
  readonly aux: Hex;
  readonly cid: string;
  readonly meta: Hex;
}

export interface Listing extends ListingArgument {
  readonly seller: Hex;
  readonly since: number;
  readonly active: boolean;
}

export const Purchase = { NONE: 0, NEW: 1, DELIVERED: 2, PAID: 3, REFUNDED: 4 } as const;

export interface Order {
  readonly listingId: Hex;
  readonly buyer: Hex;
  readonly at: number;
  readonly state: number;
  readonly price: bigint;
  readonly share: bigint;
  readonly B: readonly [bigint, bigint];
  readonly R: readonly [bigint, bigint];
  readonly sealedKey: Hex;
}

/** Seconds of a development chain. */
export const windows = { delivery: 60, cancel: 30, complaint: 10 } as const;

const LISTING_TAG = hashText("skynet/1/listing");
const ORDER_TAG = hashText("skynet/1/order");
const NO_LISTING: Listing = {
  kind: 0,
  licence: 0,
  token: zeroAddress,
  price: 0n,
  bond: 0n,
  contentRoot: zeroHash,
  keyCommit: zeroHash,
  aux: zeroHash,
  cid: "",
  meta: "0x",
  seller: zeroAddress,
  since: 0,
  active: false,
};
const NO_ORDER: Order = {
  listingId: zeroHash,
  buyer: zeroAddress,
  at: 0,
  state: Purchase.NONE,
  price: 0n,
  share: 0n,
  B: [0n, 0n],
  R: [0n, 0n],
  sealedKey: zeroHash,
};

const bytesOf = (hex: Hex) => (hex.length - 2) / 2;
export const xorWords = (a: Hex, b: Hex): Hex => `0x${(BigInt(a) ^ BigInt(b)).toString(16).padStart(64, "0")}`;

/** keccak256 of the point with this factor, under which a key is sealed. */
export const padOf = (factor: bigint): Hex => hashHex(pointWords(factor));

/** @throws Refusal unless the point is on the curve, and not infinity; all points of the tests have known factors */
function needPoint(x: bigint, y: bigint): void {
  need(factorOf(x, y) !== undefined, "BadPoint");
}

/** Twin of `Catalog.sol`. */
export class CatalogModel {
  readonly nonces: Table<bigint>;
  readonly listings: Table<Listing>;
  readonly orders: Table<Order>;
  /** Ids in the order of their making. */
  readonly listed: Hex[] = [];
  readonly bought: Hex[] = [];
  readonly #env: Environment;
  readonly #ledger: LedgerModel;

  constructor(env: Environment, journal: Journal, ledger: LedgerModel) {
    this.#env = env;
    this.#ledger = ledger;
    const to = env.addresses.catalog;
    this.nonces = new Table(journal, "catalog nonces", 0n, ([owner], nonce) => ({
      to,
      data: callOf("nonces(address)", owner as Hex),
      answer: answerOf(nonce),
    }));
    this.listings = new Table(journal, "listings", NO_LISTING, ([id], l) => {
      const money = [l.token, l.price, l.bond] as const;
      const hashes = [
        l.cid === "" ? zeroHash : keccak256(stringToHex(l.cid)),
        l.contentRoot,
        l.keyCommit,
        l.aux,
      ] as const;
      const answer = answerOf(l.seller, l.since, l.kind, l.active, l.licence, ...money, ...hashes);
      return { to, data: callOf("listing(bytes32)", id as Hex), answer };
    });
    this.orders = new Table(journal, "orders", NO_ORDER, ([id], o) => {
      const points = [...o.B, ...o.R] as const;
      const answer = answerOf(o.listingId, o.buyer, o.at, o.state, o.price, o.share, ...points, o.sealedKey);
      return { to, data: callOf("order(bytes32)", id as Hex), answer };
    });
  }

  readonly calls = {
    list: (from: Hex, terms: ListingArgument): void => {
      this.#checkTerms(terms);
      const id = this.#listingId(from, terms);
      this.listings.set([id], { ...terms, seller: from, since: this.#env.block, active: true });
      if (terms.bond > 0n) this.#ledger.move(terms.token, accountOf(from), this.#escrow(id), terms.bond);
      this.listed.push(id);
    },
    setPrice: (from: Hex, id: Hex, price: bigint): void => {
      const listing = this.#ownListing(from, id);
      need(price > 0n && listing.keyCommit !== zeroHash, "BadListingPrice");
      this.listings.set([id], { ...listing, price });
    },
    deactivate: (from: Hex, id: Hex): void => {
      const listing = this.#ownListing(from, id);
      this.listings.set([id], { ...listing, active: false, bond: 0n });
      if (listing.bond > 0n) this.#returnBond(id, listing.bond);
    },
    deliver: (from: Hex, id: Hex, x: bigint, y: bigint, sealedKey: Hex): void => {
      const order = this.#needState(id, Purchase.NEW);
      need(this.#env.now < order.at + windows.delivery, "TooLate");
      need(from === this.listings.get(order.listingId).seller, "NotSeller");
      needPoint(x, y);
      this.orders.set([id], { ...order, state: Purchase.DELIVERED, at: this.#env.now, R: [x, y], sealedKey });
    },
    buy: (from: Hex, listingId: Hex, maxPrice: bigint, x: bigint, y: bigint): void => {
      this.#buy(from, listingId, maxPrice, x, y);
    },
    complain: (from: Hex, id: Hex, b: bigint): void => {
      const order = this.#needState(id, Purchase.DELIVERED);
      need(this.#env.now < order.at + windows.complaint, "TooLate");
      need(from === order.buyer, "NotBuyer");
      const secret = b % CURVE_ORDER;
      need(secret === factorOf(...order.B), "WrongSecret");
      const key = xorWords(order.sealedKey, padOf((secret * factorOf(...order.R)!) % CURVE_ORDER));
      const listing = this.listings.get(order.listingId);
      need(hashWords(key) !== listing.keyCommit, "KeyIsRight");
      const { share } = order;
      this.orders.set([id], { ...order, share: 0n });
      this.#finish(id, Purchase.REFUNDED);
      if (share > 0n) this.#ledger.move(listing.token, this.#escrow(order.listingId), accountOf(from), share);
    },
    cancel: (from: Hex, id: Hex): void => {
      const order = this.#needState(id, Purchase.NEW);
      need(this.#env.now >= order.at + windows.cancel, "TooEarly");
      need(this.#env.now < order.at + windows.delivery, "TooLate");
      need(from === order.buyer, "NotBuyer");
      this.#finish(id, Purchase.REFUNDED);
    },
    tick: (_: Hex, id: Hex): void => {
      const { state, at } = this.orders.get(id);
      const isNew = state === Purchase.NEW;
      need(isNew || state === Purchase.DELIVERED, "WrongState", state);
      need(this.#env.now >= at + (isNew ? windows.delivery : windows.complaint), "TooEarly");
      this.#finish(id, isNew ? Purchase.REFUNDED : Purchase.PAID);
    },
  };

  #escrow(localId: Hex): Hex {
    return this.#env.escrow("catalog", localId);
  }

  #checkTerms({ kind, contentRoot, cid, meta, price, keyCommit, bond, token }: ListingArgument): void {
    need(kind === 1 || kind === 2, "BadListingKind");
    need(contentRoot !== zeroHash, "BadContent");
    need(cid.length > 0 && cid.length <= 128, "BadCid");
    need(bytesOf(meta) <= 4096, "MetaTooLong");
    const free = price === 0n;
    need(free === (keyCommit === zeroHash), "BadListingPrice");
    need(!free || bond === 0n, "BadBond");
    need(free || this.#env.hasCode(token), "NotToken");
  }

  #nonce(owner: Hex): bigint {
    const nonce = this.nonces.get(owner);
    this.nonces.set([owner], nonce + 1n);
    return nonce;
  }

  #listingId(seller: Hex, terms: ListingArgument): Hex {
    const { kind, licence, token, bond, keyCommit, aux, cid, contentRoot } = terms;
    const rest = hashWords(kind, licence, token, bond, keyCommit, aux);
    const { chainId, addresses } = this.#env;
    const place = [LISTING_TAG, chainId, addresses.catalog, seller, this.#nonce(seller)] as const;
    return hashWords(...place, keccak256(stringToHex(cid)), contentRoot, rest);
  }

  #ownListing(from: Hex, id: Hex): Listing {
    const listing = this.listings.get(id);
    need(listing.active, "NotActive");
    need(from === listing.seller, "NotSeller");
    return listing;
  }

  #needState(id: Hex, state: number): Order {
    const order = this.orders.get(id);
    need(order.state === state, "WrongState", order.state);
    return order;
  }

  #buy(from: Hex, listingId: Hex, maxPrice: bigint, x: bigint, y: bigint): void {
    const listing = this.listings.get(listingId);
    const { price, bond, token } = listing;
    need(listing.active, "NotActive");
    need(price > 0n, "FreeListing");
    need(price <= maxPrice, "PriceChanged", price);
    needPoint(x, y);
    const { chainId, addresses, now } = this.#env;
    const id = hashWords(ORDER_TAG, chainId, addresses.catalog, listingId, from, this.#nonce(from), x, y);
    const share = bond < price ? bond : price;
    this.listings.set([listingId], { ...listing, bond: bond - share });
    const order = {
      ...NO_ORDER,
      listingId,
      buyer: from,
      at: now,
      state: Purchase.NEW,
      price,
      share,
      B: [x, y],
    } as const;
    this.orders.set([id], order);
    this.#ledger.move(token, accountOf(from), this.#escrow(id), price);
    this.bought.push(id);
  }

  #finish(id: Hex, state: number): void {
    const order = this.orders.get(id);
    const { listingId, share, price, buyer } = order;
    const listing = this.listings.get(listingId);
    this.orders.set([id], { ...order, state, share: 0n });
    if (listing.active) this.listings.set([listingId], { ...listing, bond: listing.bond + share });
    const payee = state === Purchase.PAID ? listing.seller : buyer;
    this.#ledger.move(listing.token, this.#escrow(id), accountOf(payee), price);
    if (!listing.active && share > 0n) this.#returnBond(listingId, share);
  }

  #returnBond(listingId: Hex, amount: bigint): void {
    const { token, seller } = this.listings.get(listingId);
    this.#ledger.move(token, this.#escrow(listingId), accountOf(seller), amount);
  }
}
