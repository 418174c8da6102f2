// Buying data and models: money against key through the Catalog, then the content from the seller, checked.
import { randomBytes } from "node:crypto";
import {
  ChainError,
  type ChainPurchase,
  createDeliverySecret,
  deliveryPoint,
  keyCommitOf,
  openKey,
  PurchaseState,
} from "@skynet/contracts";
import { fetchBlock, fetchBlocks, type BlockRef } from "@skynet/network";
import { readInferenceModel } from "@skynet/proof";
import { fromHex, SkyNetError, toHex, word, type Hex } from "@skynet/protocol";
import { formatAmount, shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { identifyModel } from "../market/answers.ts";
import { blocksOf, keepingBlocks, openBatches, openFile, tooMuchContent, type FetchBlock } from "../market/content.ts";
import { checkRoom, writeBought } from "../market/bought-files.ts";
import { datasetFiles } from "../market/datasets.ts";
import { readListing, type ContentKind, type MarketListing } from "../market/listings.ts";
import { loadPurchase, purchaseFile, savePurchase, type Purchase } from "../market/purchase-files.ts";
import { purchasePin } from "../runtime/blocks.ts";
import { systemClock } from "../runtime/clock.ts";
import { cardOf, fetchCard } from "./data-card.ts";
import { openNode, type LocalNode, type NodeOptions } from "./local-node.ts";
import { awaitPending } from "./pending.ts";
import { fundLedger, tokenInfo, parseAmount } from "./token.ts";

export interface PurchaseOptions extends NodeOptions {
  readonly kind: ContentKind;
  readonly listingId: Hex;
  /** Decimal number of tokens; the listed price by default. */
  readonly maxPrice?: string | undefined;
  /** Folder for the content. */
  readonly outDir: string;
  /** Replace other files of the same names in it. */
  readonly overwrite?: boolean | undefined;
  readonly ui: Ui;
}

export interface Bought {
  readonly listingId: Hex;
  /** Undefined for what is free. */
  readonly orderId: Hex | undefined;
  readonly paid: bigint;
  readonly files: readonly string[];
}

const POLL_MS = 500;
/** How long a seller that cannot be reached is tried again without any progress. */
const PATIENCE_MS = 10_000;

/**
 * Buys a listing and writes its content, once that is what the listing says; run again, it goes on where it stopped.
 * @throws SkyNetError `NotForSale`, `WrongKind`, `PriceTooHigh`, `InsufficientBalance`, `SellerOffline` before anything
 * is paid; `NotDelivered`, `WrongKey` with the money back; `WrongContent`
 */
export async function runPurchase(options: PurchaseOptions): Promise<Bought> {
  const node = await openNode(options, "buyer");
  try {
    const listing = await readListing(node.chain, options.listingId);
    if (listing.kind !== options.kind)
      throw new SkyNetError("WrongKind", `${shortId(listing.listingId)} sells a ${listing.kind}`, {
        hint: `use npx skynet ${listing.kind} buy`,
      });
    if (listing.metadata === undefined)
      throw new SkyNetError("BadMetadata", "what the listing says of itself cannot be read", {
        hint: "its seller may run a newer version; nothing was paid",
      });
    const { key, orderId, paid } = await obtainKey(node, listing, options);
    const files = await obtainContent(node, listing, key, options);
    node.blocks.unpin(purchasePin(listing.listingId));
    return { listingId: listing.listingId, orderId, paid, files };
  } finally {
    await node.close();
  }
}

interface Obtained {
  readonly key: Uint8Array;
  readonly orderId: Hex | undefined;
  readonly paid: bigint;
}

async function obtainKey(node: LocalNode, listing: MarketListing, options: PurchaseOptions): Promise<Obtained> {
  const { dataDir, ui } = options;
  if (listing.price === 0n) {
    if (!listing.metadata?.key) throw wrongKey("the listing is free, but names no key");
    return { key: listing.metadata.key, orderId: undefined, paid: 0n };
  }
  await awaitPending(node.chain, ui, options.signal);
  const before = await loadPurchase(dataDir, listing.listingId);
  if (before?.key) {
    ui.line("bought before: the key is on disk, nothing is paid");
    return { key: fromHex(before.key), orderId: undefined, paid: 0n };
  }
  await checkRoom(options.outDir, listing.kind, options.overwrite ?? false);
  const purchase = before ?? newPurchase(listing.listingId);
  const known = await findOrder(node, purchase);
  if (known && known.state !== PurchaseState.REFUNDED) {
    ui.line(`resuming order ${shortId(known.orderId)}`);
    return awaitKey(node, listing, purchase, known.orderId, options);
  }
  // a secret that an order has named is never used again
  const fresh = known ? newPurchase(listing.listingId) : purchase;
  return awaitKey(node, listing, fresh, await order(node, listing, fresh, options), options);
}

const newPurchase = (listingId: Hex): Purchase => ({
  version: 1,
  listingId,
  secret: toHex(word(createDeliverySecret(randomBytes))),
  key: null,
});

/** The order that names this purchase's point. */
async function findOrder({ chain }: LocalNode, { listingId, secret }: Purchase): Promise<ChainPurchase | undefined> {
  const B = deliveryPoint(BigInt(secret));
  for (const orderId of await chain.catalog.orderIds({ listingId, buyer: chain.address })) {
    const found = await chain.catalog.order(orderId);
    if (found.B.x === B.x && found.B.y === B.y) return found;
  }
  return undefined;
}

/** Checks everything that can be checked before money moves, then orders. */
async function order(
  node: LocalNode,
  listing: MarketListing,
  purchase: Purchase,
  { dataDir, maxPrice, ui, signal }: PurchaseOptions,
): Promise<Hex> {
  const { chain } = node;
  if (!listing.active)
    throw new SkyNetError("NotForSale", `the seller of "${listing.name}" sells it no more`, {
      hint: `npx skynet ${listing.kind} list shows what is for sale`,
    });
  const info = await tokenInfo(chain.rpcUrl, listing.token);
  const most = maxPrice === undefined ? listing.price : parseAmount(maxPrice, info);
  if (listing.price > most)
    throw new SkyNetError("PriceTooHigh", `the price is ${formatAmount(listing.price, info)}`, {
      hint: `pay it with --max-price, or look for another one: npx skynet ${listing.kind} list`,
    });
  ui.status("asking the seller for the first block");
  await firstBlock(node, listing, signal);
  await fundLedger(chain, listing.token, listing.price, signal);
  // on disk before it is on chain: without the secret a delivered key would be lost
  await savePurchase(dataDir, purchase);
  const { orderId, price } = await chain.catalog.buy(listing.listingId, most, deliveryPoint(BigInt(purchase.secret)), {
    signal,
  });
  const { share } = await chain.catalog.order(orderId);
  ui.line(`ordered "${listing.name}", ${formatAmount(price, info)} in escrow until its key is here`);
  if (share > 0n) ui.line(`a wrong key would bring ${formatAmount(share, info)} more, from the seller's bond`);
  ui.event("ordered", { orderId, listingId: listing.listingId, price, share });
  return orderId;
}

/** Blocks of a seller, kept in the node's store, and not more than the listing says. */
function blocksFrom(
  { blocks, host, partials }: LocalNode,
  seller: Hex,
  metadata: MarketListing["metadata"],
  signal: AbortSignal,
): FetchBlock {
  return keepingBlocks(blocks, metadata?.bytes ?? 0, (cid) => fetchBlock(host, seller, cid, { signal, partials }));
}

async function firstBlock(
  node: LocalNode,
  { seller, cid, metadata }: MarketListing,
  signal: AbortSignal,
): Promise<void> {
  try {
    await blocksFrom(node, seller, metadata, signal)(cid);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SkyNetError && cause.code === "WrongContent")
      throw new SkyNetError("WrongContent", cause.message, {
        cause,
        hint: "nothing was paid; look for another seller",
      });
    throw new SkyNetError("SellerOffline", `the seller ${seller} does not serve the content now`, {
      cause,
      hint: "nothing was paid; try again later",
    });
  }
}

/** Waits for the delivery, checks the key, and takes the money back when there is none or a wrong one. */
async function awaitKey(
  node: LocalNode,
  listing: MarketListing,
  purchase: Purchase,
  orderId: Hex,
  { dataDir, ui, signal }: PurchaseOptions,
): Promise<Obtained> {
  const { catalog } = node.chain;
  const { cancel, delivery } = await catalog.windows();
  for (;;) {
    signal.throwIfAborted();
    const found = await catalog.order(orderId);
    if (found.state === PurchaseState.REFUNDED) throw notDelivered();
    if (found.R && found.sealedKey) {
      const key = openOrNothing({ R: found.R, sealedKey: found.sealedKey }, purchase);
      if (key === undefined || keyCommitOf(key) !== listing.keyCommit)
        return refuseKey(node, purchase, found, { ui, signal });
      await savePurchase(dataDir, { ...purchase, key: toHex(key) });
      ui.progress("Waiting for the seller's key", 1, 1);
      return { key, orderId, paid: found.price };
    }
    const waited = (await node.chain.now()) - found.at;
    if (waited >= cancel) await takeBack(node, orderId, waited >= delivery);
    ui.progress("Waiting for the seller's key", Math.max(0, Math.min(waited, cancel - 1)), cancel);
    await systemClock.sleep(POLL_MS, signal);
  }
}

/** Sealed with points off the curve, a key cannot be opened; that counts as a wrong one. */
function openOrNothing(sealed: Parameters<typeof openKey>[0], { secret }: Purchase): Uint8Array | undefined {
  try {
    return openKey(sealed, BigInt(secret));
  } catch {
    return undefined;
  }
}

async function takeBack({ chain }: LocalNode, orderId: Hex, late: boolean): Promise<void> {
  try {
    await (late ? chain.catalog.tick(orderId) : chain.catalog.cancel(orderId));
  } catch (error) {
    // delivered or refunded in the same moment: the next look tells
    if (!(error instanceof ChainError && ["WrongState", "TooLate", "TooEarly"].includes(error.code))) throw error;
  }
}

async function refuseKey(
  { chain }: LocalNode,
  { secret }: Purchase,
  { orderId, state, at }: ChainPurchase,
  { ui, signal }: Pick<PurchaseOptions, "ui" | "signal">,
): Promise<never> {
  const { complaint } = await chain.catalog.windows();
  if (state !== PurchaseState.DELIVERED || (await chain.now()) >= at + complaint)
    throw wrongKey("the delivered key is wrong, and the time for a complaint is over", "the seller has the money");
  await chain.catalog.complain(orderId, BigInt(secret), { signal });
  ui.event("complained", { orderId });
  throw wrongKey("the delivered key is wrong");
}

const wrongKey = (message: string, hint = "the complaint was right: the money is back in the Ledger") =>
  new SkyNetError("WrongKey", message, { hint });

const notDelivered = () =>
  new SkyNetError("NotDelivered", "the seller did not deliver the key in time", {
    hint: "the money is back in the Ledger (npx skynet wallet withdraw fetches it); try another seller",
  });

/**
 * Brings the blocks that are not here into the node's store; what arrived before the node stopped stays.
 * @throws NetworkError; SkyNetError `WrongContent` for more than the listing says
 */
async function fetchMissing(
  { host, blocks, partials }: LocalNode,
  { seller, metadata }: MarketListing,
  cids: readonly string[],
  { ui, signal }: Pick<PurchaseOptions, "ui" | "signal">,
): Promise<void> {
  const most = metadata?.bytes ?? 0;
  const missing: BlockRef[] = [];
  let here = 0;
  for (const cid of new Set(cids)) {
    const stored = await blocks.get(cid);
    if (stored === undefined) missing.push({ cid });
    else here += stored.length;
  }
  let arrived = here;
  await fetchBlocks(host, missing, {
    sources: [seller],
    signal,
    partials,
    patienceMs: PATIENCE_MS,
    onProgress: ({ receivedBytes }) => ui.progress("Fetching the content", Math.min(here + receivedBytes, most), most),
    onBlock: async (_index, block) => {
      arrived += block.length;
      if (arrived > most) throw tooMuchContent(most);
      await blocks.put(block);
    },
  });
}

/** The data card. It is no part of what was paid: without it the purchase is complete. */
async function cardFile(
  { host }: LocalNode,
  listing: MarketListing,
  { ui, signal }: Pick<PurchaseOptions, "ui" | "signal">,
): Promise<Uint8Array | undefined> {
  const cid = cardOf(listing);
  if (cid === undefined) return undefined;
  ui.note("asking the seller for the data card");
  try {
    return new TextEncoder().encode(await fetchCard(host, listing.seller, cid, { signal }));
  } catch (error) {
    signal.throwIfAborted();
    ui.line(`no data card: ${(error as Error).message}`);
    return undefined;
  }
}

/** Fetches, checks and writes the content. */
async function obtainContent(
  node: LocalNode,
  listing: MarketListing,
  key: Uint8Array,
  { outDir, overwrite = false, ui, signal, threads = 2, referenceString, dataDir }: PurchaseOptions,
): Promise<string[]> {
  const { metadata } = listing;
  const fetch = blocksFrom(node, listing.seller, metadata, signal);
  const onProgress = (done: number, total: number) => ui.progress("Opening the content", done, total);
  try {
    const cids = await blocksOf(listing.kind, listing, key, fetch);
    node.blocks.pin(purchasePin(listing.listingId), cids);
    await fetchMissing(node, listing, cids, { ui, signal });
    if (metadata?.kind === "data") {
      const opened = await openBatches(listing, key, fetch, onProgress);
      const files = datasetFiles(opened, listing.aux, metadata, listing.licence);
      const content = await cardFile(node, listing, { ui, signal });
      const all = content === undefined ? files : [...files, { name: "dataset.md", content }];
      return await writeBought(outDir, all, overwrite);
    }
    const model = await openFile(listing.cid, key, fetch, onProgress);
    ui.status("checking that the model is the listed one");
    const place = { chainId: node.chain.chainId, threads, referenceString };
    const { modelId, circuitHash } = await identifyModel(readInferenceModel(model), place);
    if (modelId !== listing.contentRoot || circuitHash !== listing.aux)
      throw new SkyNetError("WrongContent", "the model is not the one that the listing commits to", {
        hint: "nothing was written; check that --srs is the reference string of its seller",
      });
    return await writeBought(outDir, [{ name: "model.onnx", content: model }], overwrite);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SkyNetError && ["Unreachable", "Stalled", "Refused", "NotFound"].includes(error.code))
      throw new SkyNetError("SellerOffline", `the seller does not serve all of the content: ${error.message}`, {
        cause: error,
        hint: `run the same command again later: the key is kept in ${purchaseFile(dataDir, listing.listingId)}, and so is every block that has arrived`,
      });
    throw error;
  }
}
