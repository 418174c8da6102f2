// The rules of the market once more, in a small form: what Catalog and InferenceBoard must do to money and states. Ids are positions, so
// that the model knows nothing of hashes; whether points, keys and proofs are right is part of the event.
import { PurchaseState as P } from "./chain/market-types.ts";

export const DELIVERY = 60;
export const CANCEL = 30;
export const COMPLAINT = 10;

/** Who acts: position among the parties. */
type Party = number;

/** What each event says besides who acts. */
interface MarketEvents {
  list: { readonly price: bigint; readonly bond: bigint; readonly keyed: boolean };
  setPrice: { readonly of: number; readonly price: bigint };
  deactivate: { readonly of: number };
  buy: { readonly of: number; readonly max: bigint; readonly point: boolean };
  deliver: { readonly of: number; readonly right: boolean; readonly point: boolean };
  complain: { readonly of: number; readonly secret: boolean };
  cancel: { readonly of: number };
  tick: { readonly of: number };
  offer: { readonly price: bigint; readonly latency: number };
  setOfferPrice: { readonly of: number; readonly price: bigint };
  close: { readonly of: number };
  request: { readonly of: number; readonly max: bigint };
  answer: { readonly of: number; readonly proof: boolean };
  expire: { readonly of: number };
}

type EventName = keyof MarketEvents;
type EventOf<Name extends EventName> = {
  [Each in Name]: { readonly type: Each; readonly by: Party } & MarketEvents[Each];
}[Name];
export type MarketEvent = EventOf<EventName>;

export interface ListingState {
  readonly seller: Party;
  readonly keyed: boolean;
  active: boolean;
  price: bigint;
  /** Not reserved. */
  bond: bigint;
}

export interface OrderState {
  readonly listing: number;
  readonly buyer: Party;
  readonly price: bigint;
  share: bigint;
  at: number;
  state: number;
  /** Whether the delivered key was the committed one. */
  right: boolean;
}

export interface OfferState {
  readonly host: Party;
  readonly latency: number;
  active: boolean;
  price: bigint;
}

export interface RequestState {
  readonly offer: number;
  readonly requester: Party;
  readonly price: bigint;
  readonly at: number;
  state: number;
}

/** A rule of the market refuses the event; the name is that of the Solidity error. */
export class MarketRuleError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

function assertRule(condition: boolean, code: string): asserts condition {
  if (!condition) throw new MarketRuleError(code);
}

/** Plays events; money is counted per party, escrows are what listings and orders say. */
export class MarketModel {
  readonly balances: bigint[];
  readonly listings: ListingState[] = [];
  readonly orders: OrderState[] = [];
  readonly offers: OfferState[] = [];
  readonly requests: RequestState[] = [];

  constructor(balances: readonly bigint[]) {
    this.balances = [...balances];
  }

  /** @throws MarketRuleError, and nothing has changed */
  apply(event: MarketEvent, at: number): void {
    switch (event.type) {
      case "list":
      case "setPrice":
      case "deactivate":
        return this.#sell(event);
      case "offer":
      case "setOfferPrice":
      case "close":
        return this.#host(event);
      case "request":
      case "answer":
      case "expire":
        return this.#infer(event, at);
      default:
        return this.#trade(event, at);
    }
  }

  /** All money of the market; never changes. */
  total(): bigint {
    const sum = (values: readonly bigint[]) => values.reduce((a, b) => a + b, 0n);
    const open = this.orders.map((order) => (order.state < P.PAID ? order.price : 0n) + order.share);
    const asked = this.requests.map(({ state, price }) => (state === 1 ? price : 0n));
    return sum(this.balances) + sum(this.listings.map(({ bond }) => bond)) + sum(open) + sum(asked);
  }

  #take(party: Party, amount: bigint): void {
    assertRule(this.balances[party]! >= amount, "InsufficientBalance");
    this.#give(party, -amount);
  }

  #give(party: Party, amount: bigint): void {
    this.balances[party] = this.balances[party]! + amount;
  }

  #sell(event: EventOf<"list" | "setPrice" | "deactivate">): void {
    if (event.type === "list") {
      const { by, price, bond, keyed } = event;
      assertRule(price > 0n === keyed, "BadListingPrice");
      assertRule(price > 0n || bond === 0n, "BadBond");
      this.#take(by, bond);
      this.listings.push({ seller: by, keyed, active: true, price, bond });
      return;
    }
    const listing = this.listings[event.of];
    assertRule(listing?.active === true, "NotActive");
    assertRule(listing.seller === event.by, "NotSeller");
    if (event.type === "setPrice") {
      assertRule(event.price > 0n && listing.keyed, "BadListingPrice");
      listing.price = event.price;
      return;
    }
    this.#give(event.by, listing.bond);
    Object.assign(listing, { active: false, bond: 0n });
  }

  #trade(event: EventOf<"buy" | "deliver" | "complain" | "cancel" | "tick">, at: number): void {
    if (event.type === "buy") return this.#buy(event, at);
    const order = this.orders[event.of];
    const state = order?.state ?? 0;
    if (event.type === "tick") assertRule(state === P.NEW || state === P.DELIVERED, "WrongState");
    else assertRule(state === (event.type === "complain" ? P.DELIVERED : P.NEW), "WrongState");
    const { listing, buyer } = order!;
    const end = order!.at + (state === P.NEW ? DELIVERY : COMPLAINT);
    if (event.type === "tick") {
      assertRule(at >= end, "TooEarly");
      return this.#finish(order!, state === P.NEW ? P.REFUNDED : P.PAID);
    }
    if (event.type === "cancel") assertRule(at >= order!.at + CANCEL, "TooEarly");
    assertRule(at < end, "TooLate");
    if (event.type === "deliver") {
      assertRule(event.by === this.listings[listing]!.seller, "NotSeller");
      assertRule(event.point, "BadPoint");
      Object.assign(order!, { state: P.DELIVERED, at, right: event.right });
      return;
    }
    assertRule(event.by === buyer, "NotBuyer");
    if (event.type === "complain") {
      assertRule(event.secret, "WrongSecret");
      assertRule(!order!.right, "KeyIsRight");
      this.#give(buyer, order!.share);
      order!.share = 0n;
    }
    this.#finish(order!, P.REFUNDED);
  }

  #buy({ by, of, max, point }: EventOf<"buy">, at: number): void {
    const listing = this.listings[of];
    assertRule(listing?.active === true, "NotActive");
    const { price, bond } = listing;
    assertRule(price > 0n, "FreeListing");
    assertRule(price <= max, "PriceChanged");
    assertRule(point, "BadPoint");
    this.#take(by, price);
    const share = bond < price ? bond : price;
    listing.bond -= share;
    this.orders.push({ listing: of, buyer: by, price, share, at, state: P.NEW, right: false });
  }

  #finish(order: OrderState, state: number): void {
    const listing = this.listings[order.listing]!;
    this.#give(state === P.PAID ? listing.seller : order.buyer, order.price);
    if (listing.active) listing.bond += order.share;
    else this.#give(listing.seller, order.share);
    Object.assign(order, { state, share: 0n });
  }

  #host(event: EventOf<"offer" | "setOfferPrice" | "close">): void {
    if (event.type === "offer") {
      const { by, price, latency } = event;
      assertRule(latency > 0, "BadLatency");
      this.offers.push({ host: by, latency, active: true, price });
      return;
    }
    const offer = this.offers[event.of];
    assertRule(offer?.active === true, "NotActive");
    assertRule(offer.host === event.by, "NotHost");
    if (event.type === "setOfferPrice") offer.price = event.price;
    else offer.active = false;
  }

  #infer(event: EventOf<"request" | "answer" | "expire">, at: number): void {
    if (event.type === "request") {
      const offer = this.offers[event.of];
      assertRule(offer?.active === true, "NotActive");
      assertRule(offer.price <= event.max, "PriceChanged");
      this.#take(event.by, offer.price);
      this.requests.push({ offer: event.of, requester: event.by, price: offer.price, at, state: 1 });
      return;
    }
    const order = this.requests[event.of];
    assertRule(order?.state === 1, "WrongState");
    const { host, latency } = this.offers[order.offer]!;
    if (event.type === "expire") assertRule(at >= order.at + latency, "TooEarly");
    else {
      assertRule(at < order.at + latency, "TooLate");
      assertRule(event.proof, "AnswerRejected");
    }
    this.#give(event.type === "answer" ? host : order.requester, order.price);
    order.state = event.type === "answer" ? 2 : 3;
  }
}
