// What sellers and hosts publish. The content is stored first, so that a running `skynet host` can serve it at once.
import path from "node:path";
import { keyCommitOf, ListingKind, type Chain } from "@skynet/contracts";
import { createIdentity, deriveSecret, type Identity } from "@skynet/network";
import { readInferenceModel, reportCircuit, type ProofSystem } from "@skynet/proof";
import {
  encodeMarketMetadata,
  InvalidInputError,
  LICENCES,
  SkyNetError,
  toHex,
  type DataMetadata,
  type Hex,
  type Licence,
  type ModelMetadata,
} from "@skynet/protocol";
import type { BlockStore, DatasetFile, DiskBlockStore, PreparedDataset } from "@skynet/storage";
import { formatEther } from "viem";
import { formatAmount, formatGas, shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import type { FetchCid } from "../data/fetch-cid.ts";
import type { UrlChoices } from "../data/prepare.ts";
import { CARD_REVEALS, makeListingCard, readListingCard } from "../data/listing-card.ts";
import { answerVerifier, identifyModel, openAnswers, type ProofPlace } from "../market/answers.ts";
import { storeBatches, storeFile, type StoredContent } from "../market/content.ts";
import { prepareForSale } from "../market/datasets.ts";
import { readListings } from "../market/listings.ts";
import { listingPin, openNodeBlocks, pinnedPuts } from "../runtime/blocks.ts";
import { readInputFile, writeFileAtomic } from "../runtime/files.ts";
import { awaitPending } from "./pending.ts";
import { fundLedger, tokenInfo, tokenOrDefault, parseAmount } from "./token.ts";

/** Chain and files of a seller. The folder is the one that `skynet host` serves from. */
export interface Shop {
  readonly chain: Chain;
  readonly identity: Identity;
  readonly blocks: DiskBlockStore;
  readonly dataDir: string;
  readonly place: ProofPlace;
  readonly ui: Ui;
  readonly signal: AbortSignal;
  /** Gets data that are named by a CID; absent: CIDs are refused. */
  readonly fetchCid?: FetchCid | undefined;
  readonly allowPrivate?: UrlChoices["allowPrivate"];
  readonly refresh?: UrlChoices["refresh"];
}

export const modelFile = (dataDir: string, modelId: Hex): string => path.join(dataDir, "models", `${modelId}.onnx`);

export async function openShop(
  options: Omit<Shop, "blocks" | "identity" | "place"> & {
    privateKey: Uint8Array;
    threads: number;
    referenceString?: string | undefined;
    quotaBytes?: number | undefined;
  },
): Promise<Shop> {
  const { chain, dataDir, ui, signal, privateKey, threads, referenceString, quotaBytes } = options;
  const blocks = await openNodeBlocks(dataDir, { quotaBytes });
  const place = { chainId: chain.chainId, threads, referenceString };
  return { chain, identity: createIdentity(privateKey), blocks, dataDir, place, ui, signal };
}

/**
 * The key of a content: follows from the seller's own key, so that losing the folder does not lose it. Whoever has bought
 * one listing of a content can open the others.
 */
export const contentKey = (identity: Identity, kind: "data" | "model", contentRoot: Hex): Uint8Array =>
  deriveSecret(identity, `listing/${kind}/${contentRoot}`);

export interface Sale {
  readonly name: string;
  readonly description: string;
  readonly licence: Licence;
  /** Decimal number of tokens; 0 is free. */
  readonly price: string;
  readonly bond: string;
  readonly token?: Hex | undefined;
}

export interface DataSale extends Sale {
  readonly dataset: DatasetFile;
  readonly batchSize: number;
  /** The data card: made from the data, none, or a file with another one. */
  readonly card: true | false | { readonly file: string };
  /** Licence as the card names it: any text. */
  readonly licenceText?: string | undefined;
  /** Asked before the card is published; an error stops the sale. */
  readonly confirmCard?: ((reveals: string) => Promise<void>) | undefined;
}

export interface Listed {
  readonly listingId: Hex;
  readonly contentRoot: Hex;
  readonly cid: string;
  /** CID of the data card. */
  readonly card?: string | undefined;
  readonly bytes: number;
}

interface Content {
  readonly kind: "data" | "model";
  readonly contentRoot: Hex;
  readonly aux: Hex;
  store(key: Uint8Array, blocks: BlockStore): Promise<StoredContent>;
  /** Makes a card for everybody to read. */
  card?(): Promise<Uint8Array | undefined>;
  metadata(common: {
    version: 1;
    name: string;
    description: string;
    bytes: number;
    key?: Uint8Array;
    card?: string;
  }): DataMetadata | ModelMetadata;
}

/** Errors after which nobody tries the same sale again. */
const SALE_ENDED: ReadonlySet<string> = new Set(["AlreadyListed", "KeyIsPublic", "NotConfirmed", "BadBond"]);

/** Lists a dataset. @throws StorageError about the files; SkyNetError `AlreadyListed`, `InsufficientBalance` */
export async function sellDataset(shop: Shop, sale: DataSale): Promise<Listed> {
  const own = typeof sale.card === "object" ? await readListingCard(sale.card.file) : undefined;
  const forSale = await prepareForSale(sale.dataset, sale.batchSize, shop);
  const { prepared, source, contentRoot, aux, samples, shape, classes, batchSize, scale } = forSale;
  const onProgress = (done: number, total: number) => shop.ui.progress("Encrypting the batches", done, total);
  const { signal } = shop;
  try {
    const listed = await publish(shop, sale, {
      kind: "data",
      contentRoot,
      aux,
      card: async () => own ?? (sale.card === true ? makeCard(shop, sale, prepared) : undefined),
      store: (key, blocks) =>
        storeBatches(source, { name: sale.name, classes, scale }, key, blocks, { onProgress, signal }),
      metadata: (common) => ({ ...common, kind: "data", samples, shape: [...shape], classes, batchSize }),
    });
    await prepared.remove();
    return listed;
  } catch (error) {
    // of no use any more; after other errors the next try goes on with it
    if (error instanceof SkyNetError && SALE_ENDED.has(error.code)) await prepared.remove();
    throw error;
  }
}

async function makeCard(shop: Shop, sale: DataSale, prepared: PreparedDataset): Promise<Uint8Array> {
  const { name, description, licenceText, dataset, confirmCard } = sale;
  const made = await makeListingCard(dataset, prepared, { name, description, licence: licenceText }, shop);
  await confirmCard?.(CARD_REVEALS);
  return made;
}

/** Lists a model with its weights. @throws OnnxError, CompileError; SkyNetError as `sellDataset` */
export async function sellModel(shop: Shop, sale: Sale & { readonly file: string }): Promise<Listed> {
  const bytes = await readInputFile(sale.file, "the model");
  shop.ui.status("committing to the weights");
  const { architecture, modelId, circuitHash } = await identifyModel(readInferenceModel(bytes), shop.place);
  return publish(shop, sale, {
    kind: "model",
    contentRoot: modelId,
    aux: circuitHash,
    store: (key, blocks) =>
      storeFile(bytes, key, blocks, (done, total) => shop.ui.progress("Encrypting the model", done, total)),
    metadata: ({ card: _card, ...common }) => ({ ...common, kind: "model", architecture }),
  });
}

async function publish(shop: Shop, sale: Sale, content: Content): Promise<Listed> {
  const { chain, ui, signal } = shop;
  const { kind, contentRoot, aux } = content;
  const token = tokenOrDefault(chain, sale.token);
  const info = await tokenInfo(chain.rpcUrl, token);
  const [price, bond] = [parseAmount(sale.price, info), parseAmount(sale.bond, info)];
  const free = price === 0n;
  if (free && bond > 0n) throw new InvalidInputError("BadBond", "a free listing has no bond: nobody can lose by it");
  await awaitPending(chain, ui, signal);
  const own = await readListings(chain, { kind, seller: chain.address, inactive: true });
  const earlier = own.filter((listing) => listing.contentRoot === contentRoot);
  const given = earlier.find((listing) => listing.price === 0n);
  if (given && !free)
    throw new SkyNetError("KeyIsPublic", `this ${kind} was free before, as ${given.listingId}: its key is public`, {
      hint: "nothing was published; only another content can be sold",
    });
  const same = earlier.find(({ active }) => active);
  if (same)
    throw new SkyNetError("AlreadyListed", `this ${kind} is for sale already, as ${same.listingId}`, {
      hint: `npx skynet ${kind} price changes its price, npx skynet ${kind} remove ends the sale`,
    });
  const key = contentKey(shop.identity, kind, contentRoot);
  const draftPin = listingPin(contentRoot);
  const cardBytes = await content.card?.();
  const puts = pinnedPuts(shop.blocks, draftPin);
  const { cid, cids, bytes } = await content.store(key, puts);
  const card = cardBytes && (await puts.put(cardBytes));
  const common = {
    version: 1,
    name: sale.name,
    description: sale.description,
    bytes,
    ...(free ? { key } : {}),
    ...(card === undefined ? {} : { card }),
  } as const;
  const meta = toHex(encodeMarketMetadata(content.metadata(common)));
  await fundLedger(chain, token, bond, signal);
  const keyCommit = free ? (`0x${"00".repeat(32)}` as const) : keyCommitOf(key);
  const licence = LICENCES.indexOf(sale.licence);
  const terms = { kind: kind === "data" ? ListingKind.DATA : ListingKind.MODEL, licence, token, price, bond };
  const { listingId } = await chain.catalog.list({ ...terms, contentRoot, keyCommit, aux, cid, meta }, { signal });
  shop.blocks.pin(listingPin(listingId), card === undefined ? cids : [...cids, card]);
  shop.blocks.unpin(draftPin);
  ui.line(`listed "${sale.name}" for ${free ? "nothing" : formatAmount(price, info)} as ${listingId}`);
  ui.line("npx skynet host serves it and delivers its key to buyers");
  return { listingId, contentRoot, cid, card, bytes };
}

export interface AnswerSale extends Omit<Sale, "bond" | "licence"> {
  readonly file: string;
  /** Seconds. */
  readonly maxLatency: number;
}

export interface AnswerOffer {
  readonly offerId: Hex;
  readonly modelId: Hex;
  readonly cost: AnswerCost;
}

/** What an answer costs its host. */
interface AnswerCost {
  /** An estimate. */
  readonly gas: number;
  /** At the present price of gas. */
  readonly wei: bigint;
}

/** Escrow, order and pay: an answer without its proof. */
const ANSWER_GAS = 100_000;

/** A host pays the gas of its answers in ether and gets tokens: only it can say which price is worth that. */
async function costOfAnswers({ gasPrice }: Chain, { circuit }: ProofSystem): Promise<AnswerCost> {
  const gas = ANSWER_GAS + reportCircuit(circuit).estimatedGas;
  return { gas, wei: BigInt(gas) * (await gasPrice()) };
}

/**
 * Offers to run a model for money: its verifier is put on the chain if it is not there.
 * @throws OnnxError, CompileError; SkyNetError `AlreadyListed`
 */
export async function offerAnswers(shop: Shop, sale: AnswerSale): Promise<AnswerOffer> {
  const { chain, ui, signal } = shop;
  const bytes = await readInputFile(sale.file, "the model");
  const token = tokenOrDefault(chain, sale.token);
  const info = await tokenInfo(chain.rpcUrl, token);
  const price = parseAmount(sale.price, info);
  ui.status("committing to the weights");
  const { architecture, modelId } = await identifyModel(readInferenceModel(bytes), shop.place);
  const { name, description, maxLatency } = sale;
  const meta = toHex(encodeMarketMetadata({ version: 1, kind: "answers", name, description, architecture }));
  ui.status("generating the verifier of its answers");
  const system = await openAnswers(architecture, shop.place);
  try {
    const { description: circuit, verifierId, initcode } = await answerVerifier(system);
    const outputTag = toHex(system.key.outputTag);
    await awaitPending(chain, ui, signal);
    for (const { offerId, terms } of await chain.inference.offers({ host: chain.address, modelId }))
      if (terms.verifierId === verifierId && (await chain.inference.offerOf(offerId)).active)
        throw new SkyNetError("AlreadyListed", `answers of this model are for sale already, as ${offerId}`, {
          hint: "npx skynet model price changes the price, npx skynet model remove ends the sale",
        });
    const cost = await costOfAnswers(chain, system);
    // before the offer: from then on requests can come
    await writeFileAtomic(modelFile(shop.dataDir, modelId), bytes, 0o600);
    const { at, receipt } = await chain.deployVerifier(circuit, initcode, { source: modelId }, { signal });
    ui.line(
      receipt
        ? `deployed the verifier of its answers at ${shortId(at)} (${formatGas(receipt.gasUsed)} gas)`
        : `the verifier of its answers is on chain at ${shortId(at)}`,
    );
    const terms = { modelId, verifierId, outputTag, token, price, maxLatency, meta };
    const { offerId } = await chain.inference.offer(terms, { signal });
    ui.line(`answers of "${name}" are for sale at ${formatAmount(price, info)} each, as ${offerId}`);
    ui.line(
      `each costs you about ${formatGas(cost.gas)} gas, ${formatEther(cost.wei)} ETH now: is the price worth it?`,
    );
    ui.line("npx skynet host answers; npx skynet model price changes the price");
    return { offerId, modelId, cost };
  } finally {
    await system.close();
  }
}
