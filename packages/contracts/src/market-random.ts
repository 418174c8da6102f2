// Random events of the market: mostly sensible ones, at times close to the edges of windows.
import type { Random } from "@skynet/protocol";
import { PurchaseState } from "./chain/market-types.ts";
import { CANCEL, COMPLAINT, DELIVERY } from "./market-model.ts";
import type { MarketEvent, MarketModel } from "./market-model.ts";

const PRICES = [0n, 1n, 100n, 100n, 300n] as const;
const BONDS = [0n, 0n, 50n, 250n] as const;
const TYPES = [
  ["list", 3],
  ["setPrice", 2],
  ["deactivate", 1],
  ["buy", 6],
  ["deliver", 5],
  ["complain", 4],
  ["cancel", 3],
  ["tick", 4],
  ["offer", 2],
  ["setOfferPrice", 1],
  ["close", 1],
  ["request", 4],
  ["answer", 3],
  ["expire", 2],
] as const satisfies readonly (readonly [MarketEvent["type"], number])[];
const weighted = TYPES.flatMap(([type, weight]) => Array.from({ length: weight }, () => type));

/** Seconds at which something of the model changes its rules. */
function edges({ orders, requests, offers }: MarketModel): number[] {
  const bought = orders.flatMap(({ state, at }) => {
    if (state === PurchaseState.NEW) return [at + CANCEL, at + DELIVERY];
    return state === PurchaseState.DELIVERED ? [at + COMPLAINT] : [];
  });
  const asked = requests.flatMap(({ state, at, offer }) => (state === 1 ? [at + offers[offer]!.latency] : []));
  return [...bought, ...asked];
}

/** The time of the next event: often the same second, an edge, or the second before it. */
export function drawTime(random: Random, model: MarketModel, now: number): number {
  const ahead = edges(model).flatMap((edge) => [edge - 1, edge].filter((time) => time >= now));
  if (ahead.length > 0 && random.chance(0.25)) return random.pick(ahead);
  return now + random.pick([0, 0, 0, 1, 2]);
}

/** A position, nearly always one that exists, or one past the end. */
const place = (random: Random, length: number) => (random.chance(0.03) ? length : random.below(length + 1));

/** A position whose item satisfies the condition, if there is one and in most cases. */
function likely<Item>(random: Random, items: readonly Item[], condition: (item: Item) => boolean): number {
  const fitting = items.flatMap((item, index) => (condition(item) ? [index] : []));
  return fitting.length > 0 && random.chance(0.85) ? random.pick(fitting) : place(random, items.length);
}

/** The party that may do it, in most cases. */
const actor = (random: Random, right: number | undefined) =>
  right === undefined || random.chance(0.15) ? random.below(3) : right;

/** What an event of a type needs in the market to mean anything. */
function hasTarget({ listings, orders, offers, requests }: MarketModel, type: MarketEvent["type"]): boolean {
  if (type === "list" || type === "offer") return true;
  if (type === "setPrice" || type === "deactivate" || type === "buy") return listings.some(({ active }) => active);
  if (type === "setOfferPrice" || type === "close" || type === "request") return offers.some(({ active }) => active);
  if (type === "answer" || type === "expire") return requests.some(({ state }) => state === 1);
  if (type === "complain") return orders.some(({ state }) => state === PurchaseState.DELIVERED);
  return orders.some(
    ({ state }) => state === PurchaseState.NEW || (type === "tick" && state === PurchaseState.DELIVERED),
  );
}

/** A type of event, nearly always one that something in the market waits for. */
function drawType(random: Random, model: MarketModel): MarketEvent["type"] {
  for (;;) {
    const type = random.pick(weighted);
    if (hasTarget(model, type) || random.chance(0.05)) return type;
  }
}

export function drawEvent(random: Random, model: MarketModel, now: number): MarketEvent {
  const { listings, orders, offers } = model;
  const type = drawType(random, model);
  const by = random.below(3);
  const price = random.pick(PRICES);
  switch (type) {
    case "list":
      return { type, by, price, bond: price > 0n ? random.pick(BONDS) : 0n, keyed: random.chance(0.9) === price > 0n };
    case "setPrice":
    case "deactivate": {
      const of = likely(random, listings, ({ active }) => active);
      const own = actor(random, listings[of]?.seller);
      return type === "setPrice" ? { type, by: own, of, price } : { type, by: own, of };
    }
    case "buy": {
      const of = likely(random, listings, (listing) => listing.active && listing.price > 0n);
      const max = random.chance(0.9) ? 300n : 99n;
      return { type, by, of, max, point: random.chance(0.95) };
    }
    case "offer":
      return { type, by, price, latency: random.pick([0, 1, 5, 30, 30]) };
    case "setOfferPrice":
    case "close": {
      const of = likely(random, offers, ({ active }) => active);
      const own = actor(random, offers[of]?.host);
      return type === "close" ? { type, by: own, of } : { type, by: own, of, price };
    }
    case "request":
      return { type, by, of: likely(random, offers, ({ active }) => active), max: random.chance(0.9) ? 300n : 99n };
    case "answer":
    case "expire":
      return drawInference(random, model, now, type);
    default:
      return drawTrade(random, model, now, type, orders);
  }
}

function drawInference(
  random: Random,
  { requests, offers }: MarketModel,
  now: number,
  type: "answer" | "expire",
): MarketEvent {
  const by = random.below(3);
  const isLate = (request: (typeof requests)[number]) => now >= request.at + offers[request.offer]!.latency;
  const of = likely(random, requests, (request) => request.state === 1 && isLate(request) === (type === "expire"));
  return type === "answer" ? { type, by, of, proof: random.chance(0.8) } : { type, by, of };
}

function drawTrade(
  random: Random,
  { listings }: MarketModel,
  now: number,
  type: "deliver" | "complain" | "cancel" | "tick",
  orders: MarketModel["orders"],
): MarketEvent {
  const { NEW, DELIVERED } = PurchaseState;
  const fits = ({ state, at }: MarketModel["orders"][number]) => {
    if (type === "complain") return state === DELIVERED;
    if (type === "tick") return now >= at + (state === NEW ? DELIVERY : COMPLAINT);
    return state === NEW;
  };
  const of = likely(random, orders, fits);
  const order = orders[of];
  if (type === "tick") return { type, by: random.below(3), of };
  if (type === "deliver") {
    const seller = order === undefined ? undefined : listings[order.listing]!.seller;
    return { type, by: actor(random, seller), of, right: random.chance(0.5), point: random.chance(0.95) };
  }
  const by = actor(random, order?.buyer);
  return type === "complain" ? { type, by, of, secret: random.chance(0.85) } : { type, by, of };
}
