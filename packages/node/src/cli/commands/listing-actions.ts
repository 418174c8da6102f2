// Subcommands that data and models have in common.
import path from "node:path";
import type { Command } from "commander";
import type { Chain } from "@skynet/contracts";
import { cleanText, InvalidInputError, type Hex } from "@skynet/protocol";
import {
  onlyMatch,
  readListing,
  readOffer,
  type ContentKind,
  type MarketListing,
  type MarketOffer,
} from "../../market/listings.ts";
import { runPurchase } from "../../roles/purchase.ts";
import { parseAmount } from "../../roles/token.ts";
import { formatAmount, formatBytes, formatSeconds, shortId } from "../format.ts";
import { addIndexOptions, type IndexChoice } from "../index-choice.ts";
import { openMarketSource, type MarketFilter } from "../market-source.ts";
import {
  addChainOptions,
  forceOption,
  tokens,
  withUi,
  type ConnectionOptions,
  type ForceOption,
  type JsonOption,
} from "../options.ts";
import { addBuyerOptions, addOwnerOptions, buyerNode, createTokens, type BuyerOptions } from "../shop.ts";
import { addressArgument, openAccount, openReader } from "../account.ts";
import { addCardOptions, showCard, type CardChoice } from "./show-card.ts";
import { tableText } from "../table.ts";

type ReadOptions = ConnectionOptions & JsonOption;
type ListOptions = ReadOptions & IndexChoice & MarketFilter & { readonly answers?: true };

const article = { data: "datasets", model: "models" } as const;

/** What a listing shows with `list`. */
export async function listingRow(listing: MarketListing, amount: (token: Hex, value: bigint) => Promise<string>) {
  const { listingId, name, metadata, price, token, licence, active } = listing;
  return [
    shortId(listingId),
    active ? name : `${name} (ended)`,
    sizeText(metadata),
    price === 0n ? "free" : await amount(token, price),
    licence,
  ];
}

function sizeText(metadata: MarketListing["metadata"]): string {
  if (metadata === undefined) return "";
  if (metadata.kind === "data")
    return `${metadata.samples.toLocaleString("en")} x ${metadata.shape.join(" x ")}, ${metadata.classes} classes`;
  return metadata.architecture.sizes.join("-");
}

const amounts = (rpcUrl: string) => {
  const infoOf = createTokens(rpcUrl);
  return async (token: Hex, value: bigint) => formatAmount(value, await infoOf(token));
};

/** A listing or an offer by the first digits of its id. @throws InvalidInputError `NoSuchListing` */
export async function findSale(
  chain: Chain,
  kind: ContentKind,
  prefix: string,
): Promise<{ listing?: MarketListing; offer?: MarketOffer }> {
  const listings = (await chain.catalog.listings()).map(({ listingId }) => listingId);
  const offers = kind === "model" ? (await chain.inference.offers()).map(({ offerId }) => offerId) : [];
  const id = onlyMatch(
    [...listings, ...offers],
    prefix,
    kind === "data" ? "dataset" : "model",
    `npx skynet ${kind} list`,
  );
  if (offers.includes(id)) return { offer: await readOffer(chain, id) };
  const listing = await readListing(chain, id);
  if (listing.kind !== kind)
    throw new InvalidInputError("WrongKind", `${shortId(id)} is a ${listing.kind === "data" ? "dataset" : "model"}`, {
      hint: `use npx skynet ${listing.kind}`,
    });
  return { listing };
}

export function addList(parent: Command, kind: ContentKind): void {
  const command = addIndexOptions(addChainOptions(parent.command("list").description(`${article[kind]} for sale`)))
    .option("--search <text>", "only those in which all these words occur, or begin")
    .option("--seller <address>", "only those of this account", addressArgument)
    .option("--inactive", "also those whose sale has ended");
  if (kind === "model") command.option("--answers", "models whose answers are for sale, instead of models");
  command
    .addHelpText("after", `\nExample:\n  $ npx skynet ${kind} list --search clothes`)
    .action((options: ListOptions) =>
      withUi(options, async (ui) => {
        const source = await openMarketSource(options, ui);
        const { amount } = source;
        if (options.answers) {
          const offers = await source.offers(options);
          if (offers.length === 0) ui.line("no such answers are for sale on this chain yet: npx skynet model offer");
          else {
            const rows = await Promise.all(offers.map((offer) => offerRow(offer, amount)));
            ui.line(tableText(["offer", "model", "size", ">an answer", ">within"], rows));
          }
          return { offers };
        }
        const listings = await source.listings(kind, options);
        if (listings.length === 0)
          ui.line(`no such ${article[kind]} are for sale on this chain yet: npx skynet ${kind} add`);
        else {
          const rows = await Promise.all(listings.map((listing) => listingRow(listing, amount)));
          ui.line(tableText(["listing", "name", "size", ">price", "licence"], rows));
        }
        return { listings };
      }),
    );
}

async function offerRow(offer: MarketOffer, amount: (token: Hex, value: bigint) => Promise<string>): Promise<string[]> {
  const { offerId, name, metadata, price, token, maxLatency, active } = offer;
  return [
    shortId(offerId),
    active ? name : `${name} (ended)`,
    metadata?.architecture.sizes.join("-") ?? "",
    price === 0n ? "free" : await amount(token, price),
    formatSeconds(maxLatency),
  ];
}

type ShowOptions = ReadOptions & CardChoice;

export function addShow(parent: Command, kind: ContentKind): void {
  const isData = kind === "data";
  const what = isData
    ? "everything about one listing, with its data card"
    : "everything the chain says about a listing";
  const command = addChainOptions(parent.command("show").description(what)).argument("<id>", "id, or its first digits");
  if (isData) addCardOptions(command);
  command
    .addHelpText(
      "after",
      `\nExample:\n  $ npx skynet ${kind} show 0x3f2a${isData ? "\n  $ npx skynet data show 0x3f2a --card dataset.md" : ""}`,
    )
    .action((prefix: string, options: ShowOptions) =>
      withUi(options, async (ui) => {
        const chain = await openReader(options);
        const { listing, offer } = await findSale(chain, kind, prefix);
        const amount = amounts(chain.rpcUrl);
        const show = (fields: Record<string, string>) => {
          for (const [name, value] of Object.entries(fields)) if (value !== "") ui.line(`${name.padEnd(13)} ${value}`);
        };
        if (offer) {
          const { offerId, name, metadata, active, price, token, maxLatency, ...rest } = offer;
          const architecture = metadata?.architecture.sizes.join("-") ?? "";
          show({
            offerId,
            name,
            ...rest,
            architecture,
            price: await amount(token, price),
            within: formatSeconds(maxLatency),
            state: stateText(active),
          });
          return offer;
        }
        const { listingId, name, metadata, active, price, bond, token, ...rest } = listing!;
        show({
          listingId,
          name,
          ...rest,
          size: sizeText(metadata),
          encrypted: metadata ? formatBytes(metadata.bytes) : "",
          price: price === 0n ? "free" : await amount(token, price),
          bond: bond === 0n ? "" : await amount(token, bond),
          state: stateText(active),
        });
        return isData ? { ...listing!, ...(await showCard(chain, listing!, options, ui)) } : listing!;
      }),
    );
}

const stateText = (active: boolean) => (active ? "for sale" : "the sale has ended");

export function addPrice(parent: Command, kind: ContentKind): void {
  addOwnerOptions(parent.command("price").description("change the price of an own listing; open orders keep theirs"))
    .argument("<id>", "id, or its first digits")
    .argument("<tokens>", "new price", tokens)
    .addHelpText("after", `\nExample:\n  $ npx skynet ${kind} price 0x3f2a 12.5`)
    .action((prefix: string, text: string, options: ReadOptions) =>
      withUi(options, async (ui) => {
        const chain = await openAccount(options);
        const { listing, offer } = await findSale(chain, kind, prefix);
        const sale = (offer ?? listing)!;
        const info = await createTokens(chain.rpcUrl)(sale.token);
        const price = parseAmount(text, info);
        if (offer) await chain.inference.setPrice(offer.offerId, price);
        else await chain.catalog.setPrice(listing!.listingId, price);
        ui.line(`"${sale.name}" costs ${formatAmount(price, info)} from now on`);
        return { id: offer?.offerId ?? listing!.listingId, price };
      }),
    );
}

export function addRemove(parent: Command, kind: ContentKind): void {
  addOwnerOptions(parent.command("remove").description("end the sale of an own listing for ever; open orders go on"))
    .argument("<id>", "id, or its first digits")
    .addHelpText("after", `\nExample:\n  $ npx skynet ${kind} remove 0x3f2a`)
    .action((prefix: string, options: ReadOptions) =>
      withUi(options, async (ui) => {
        const chain = await openAccount(options);
        const { listing, offer } = await findSale(chain, kind, prefix);
        if (offer) await chain.inference.close(offer.offerId);
        else await chain.catalog.deactivate(listing!.listingId);
        ui.line(`"${(offer ?? listing)!.name}" is no longer for sale; keep npx skynet host running for open orders`);
        return { id: offer?.offerId ?? listing!.listingId, removed: true };
      }),
    );
}

export function addBuy(parent: Command, kind: ContentKind): void {
  addBuyerOptions(
    parent
      .command("buy")
      .description(`buy a ${kind === "data" ? "dataset" : "model"}, check and write it; run again to resume`),
  )
    .argument("<id>", "id of the listing, or its first digits")
    .option("--out <folder>", "folder for the content (default: a folder named after the listing)")
    .addOption(forceOption())
    .addHelpText(
      "after",
      `\nExample:\n  $ npx skynet ${kind} buy 0x3f2a --out ${kind === "data" ? "digits" : "classifier"}`,
    )
    .action((prefix: string, options: BuyerOptions & ForceOption & { out?: string }) =>
      withUi(options, async (ui) => {
        const { listing } = await findSale(await openReader(options), kind, prefix);
        if (listing === undefined)
          throw new InvalidInputError("WrongKind", `${cleanText(prefix, 70)} sells answers, not the model`, {
            hint: `use npx skynet infer ${cleanText(prefix, 70)} --input FILE`,
          });
        const outDir = path.resolve(options.out ?? shortId(listing.listingId).replace("…", "-"));
        const bought = await runPurchase({
          ...(await buyerNode(options)),
          kind,
          listingId: listing.listingId,
          outDir,
          overwrite: options.force,
          ui,
        });
        for (const file of bought.files) ui.line(`checked and written: ${file}`);
        return bought;
      }),
    );
}
