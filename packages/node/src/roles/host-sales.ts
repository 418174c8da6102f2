import { randomBytes } from "node:crypto";
import { ChainError, createDeliverySecret, keyCommitOf, PurchaseState, sealKey } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import { formatAmount, shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { blocksOf } from "../market/content.ts";
import { listingPin } from "../runtime/blocks.ts";
import { readListing, type MarketListing } from "../market/listings.ts";
import { cardOf } from "./data-card.ts";
import { back, failureText, type HostOptions } from "./host.ts";
import type { LocalNode } from "./local-node.ts";
import { contentKey } from "./selling.ts";
import { tokenInfo } from "./token.ts";

export interface SalesDesk {
  /** Opens what is listed. @returns number of listings that are served */
  open(): Promise<number>;
  /** Looks for new listings and orders, delivers and collects. */
  step(): Promise<void>;
}

/** Part of the time until a buyer may cancel that a delivery may need to get into a block. */
const LATENCY_SHARE = 0.1;

interface OpenOrder {
  readonly listing: MarketListing;
  /** Its failure was told; it is tried again silently. */
  told: boolean;
}

/** Delivers keys of this account's listings and collects their pay. */
export function createSalesDesk(node: LocalNode, options: HostOptions): SalesDesk {
  const { ui, signal } = options;
  const { chain, log } = node;
  const listings = new Map<Hex, MarketListing>();
  const orders = new Map<Hex, OpenOrder>();
  const seen = new Set<Hex>();
  let nextBlock: bigint | undefined;
  let served = 0;

  /** New listings and orders since the last look. */
  const look = async () => {
    const head = await chain.blockNumber();
    if (nextBlock !== undefined && nextBlock > head) return;
    // a reorganisation may have put an order into a block that was looked at before
    const range = { ...(nextBlock === undefined ? {} : { fromBlock: back(nextBlock) }), toBlock: head };
    for (const { listingId } of await chain.catalog.listings({ seller: chain.address, ...range })) {
      if (listings.has(listingId)) continue;
      const listing = await readListing(chain, listingId);
      listings.set(listingId, listing);
      if (await serve(node, listing, ui)) served += 1;
    }
    for (const event of await chain.catalog.events(range)) {
      if (event.name !== "Bought") continue;
      const listing = listings.get(event.args.listingId);
      if (listing && !seen.has(event.args.orderId)) orders.set(event.args.orderId, { listing, told: false });
      seen.add(event.args.orderId);
    }
    nextBlock = head + 1n;
  };

  const attendAll = async () => {
    for (const [orderId, order] of orders) {
      signal.throwIfAborted();
      try {
        if (await attend(node, options, orderId, order.listing)) orders.delete(orderId);
      } catch (error) {
        if (signal.aborted) return;
        // somebody else moved it on in the meantime
        if (error instanceof ChainError && error.code === "WrongState") continue;
        if (!order.told) ui.line(failureText(orderId, error));
        order.told = true;
        log.debug({ orderId, error: (error as Error).message }, "an order waits");
      }
    }
  };

  return {
    open: async () => {
      await look();
      return served;
    },
    step: async () => {
      await look();
      await attendAll();
    },
  };
}

const keyOf = ({ host }: LocalNode, { kind, contentRoot }: MarketListing) =>
  contentKey(host.identity, kind, contentRoot);

/** Opens the blocks of a listing to everybody. @returns whether they are all here */
async function serve(node: LocalNode, listing: MarketListing, ui: Ui): Promise<boolean> {
  try {
    const stored = async (cid: string) => {
      const block = await node.blocks.get(cid);
      if (block === undefined) throw new Error(`block ${cid} is not in this folder`);
      return block;
    };
    const key = listing.metadata?.key ?? keyOf(node, listing);
    const cids = await blocksOf(listing.kind, listing, key, stored);
    const card = cardOf(listing);
    const shown = card === undefined ? [] : [card];
    node.blocks.pin(listingPin(listing.listingId), [...cids, ...shown]);
    for (const cid of [...cids, ...shown]) node.access.open(cid);
    if (card !== undefined && !(await node.blocks.has(card)))
      ui.line(`the data card of "${listing.name}" (${shortId(listing.listingId)}) is not in this folder`);
    return true;
  } catch (error) {
    const what = `"${listing.name}" (${shortId(listing.listingId)}) cannot be served: ${(error as Error).message}`;
    ui.line(`${what}; run npx skynet ${listing.kind} add again with this folder, or remove the listing`);
    ui.event("not-served", { listingId: listing.listingId, reason: (error as Error).message });
    return false;
  }
}

/** @returns whether the order is over */
async function attend(node: LocalNode, options: HostOptions, orderId: Hex, listing: MarketListing): Promise<boolean> {
  const { chain } = node;
  const { ui, signal } = options;
  const { state, at, price } = await chain.catalog.order(orderId);
  if (state === PurchaseState.PAID || state === PurchaseState.REFUNDED) return true;
  if (state === PurchaseState.NEW) {
    await deliver(node, options, orderId, listing);
    return false;
  }
  if ((await chain.now()) < at + (await chain.catalog.windows()).complaint) return false;
  await chain.catalog.tick(orderId, { signal });
  const amount = formatAmount(price, await tokenInfo(chain.rpcUrl, listing.token));
  ui.line(`paid ${amount} for order ${shortId(orderId)}; it is in the Ledger (npx skynet wallet withdraw)`);
  ui.event("paid", { orderId, listingId: listing.listingId, price });
  return true;
}

async function deliver(
  node: LocalNode,
  { ui, signal, deliverLate }: HostOptions,
  orderId: Hex,
  listing: MarketListing,
): Promise<void> {
  const { chain } = node;
  const { catalog } = chain;
  const { B, at } = await catalog.order(orderId);
  const { cancel } = await catalog.windows();
  // from then on a buyer that sees the delivery on its way could cancel, and have both; it must count before
  const margin = Math.ceil(cancel * LATENCY_SHARE);
  if (!deliverLate && (await chain.now()) >= at + cancel - margin)
    throw new Error("came while this node was away and may be cancelled now; --deliver-late delivers all the same");
  const key = keyOf(node, listing);
  if (keyCommitOf(key) !== listing.keyCommit)
    throw new Error("its listing has another key: it was made with another wallet");
  const sealed = sealKey(key, B, createDeliverySecret(randomBytes));
  await catalog.deliver(orderId, sealed, { signal });
  ui.line(`delivered the key of "${listing.name}" for order ${shortId(orderId)}`);
  ui.event("delivered", { orderId, listingId: listing.listingId });
}
