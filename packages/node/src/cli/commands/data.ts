import type { Command } from "commander";
import { LICENCES, printable, type Hex, type Licence } from "@skynet/protocol";
import type { DataFormat, DatasetFile } from "@skynet/storage";
import { openCidSource } from "../cid-source.ts";
import { confirm } from "../confirm.ts";
import { nameOf, readDatasetFile } from "../../data/dataset-file.ts";
import { ownDataKey } from "../../remote/service-keys.ts";
import { sellDataset, type DataSale } from "../../roles/selling.ts";
import { addUrlOptions, fromOption, integer, relayOption, withUi, type UrlOptions } from "../options.ts";
import {
  addSaleOptions,
  addShopOptions,
  confirmFree,
  openOwnShop,
  type SaleOptions,
  type ShopOptions,
} from "../shop.ts";
import type { Ui } from "../ui.ts";
import { addInspect, formatOption } from "./data-inspect.ts";
import { addBuy, addList, addPrice, addRemove, addShow } from "./listing-actions.ts";

interface AddOptions extends UrlOptions, ShopOptions, SaleOptions {
  readonly targets?: string;
  readonly target?: string;
  readonly format?: DataFormat;
  readonly batch: number;
  readonly from?: readonly Hex[];
  readonly card?: boolean | string;
}

/** `skynet data inspect|list|show|add|price|remove|buy`. */
export function addData(program: Command): void {
  const data = program
    .command("data")
    .description("inspect data; datasets of the marketplace: list, sell and buy them");
  addInspect(data);
  addList(data, "data");
  addShow(data, "data");
  addUrlOptions(addSaleOptions(addShopOptions(data.command("add"))))
    .description("encrypt a dataset and put it up for sale")
    .argument("<data>", "dataset.yaml, or a file, folder, URL or CID of data: CSV, Parquet, NumPy, IDX, images")
    .option("--targets <file>", "the classes, where they are in a file of their own, such as IDX labels")
    .option("--target <column>", "column of the classes (default: one of a usual name, else the last one)")
    .addOption(formatOption())
    .option("--batch <n>", "samples in a batch", integer(1, 65_536), 128)
    .addOption(fromOption())
    .addOption(relayOption())
    .option("--card <file>", "publish this data card, such as an edited one of data inspect --card")
    .option("--no-card", "publish no data card")
    .addHelpText(
      "after",
      `
Name, description and licence are those of a dataset.yaml unless options say others. A data card is made from the
data and published with the listing, for everybody to read: npx skynet data inspect FILE --card shows what is in one.

Examples:
  $ npx skynet data add iris.csv --name Iris --price 5
  $ npx skynet data add examples/iris/dataset.yaml --price 5
  $ npx skynet data add train-images-idx3-ubyte.gz --targets train-labels-idx1-ubyte.gz --name Clothes --price 5
  $ npx skynet host`,
    )
    .action((file: string, options: AddOptions) =>
      withUi(options, async (ui) => {
        await confirmFree("Publish the key, so that everybody can open the dataset", options);
        const { targets, batch: batchSize, card, price, bond, token } = options;
        const said = await readDatasetFile(file, targets);
        const dataset = { ...said, target: options.target ?? said.target, format: options.format ?? said.format };
        const sale = { price, bond, token, batchSize, dataset, ...describedBy(dataset, options, ui) };
        const confirmCard = async (reveals: string) => {
          ui.note(`The data card is public: ${reveals}. --no-card leaves it out, --card FILE publishes another one.`);
          await confirm("Publish it with the listing?", options);
        };
        const shop = await openOwnShop(options, ui);
        const identity = async () => (await ownDataKey(shop.identity)).identity;
        const { fetchCid, close } = openCidSource({ ...options, folder: shop.dataDir, identity }, ui, shop.signal);
        try {
          const choice = typeof card === "string" ? { file: card } : card !== false;
          return await sellDataset(
            { ...shop, fetchCid, allowPrivate: options.allowPrivate, refresh: options.refresh },
            { ...sale, card: choice, confirmCard },
          );
        } finally {
          await close();
        }
      }),
    );
  addPrice(data, "data");
  addRemove(data, "data");
  addBuy(data, "data");
}

/** Name, description and licence of options, else of dataset.yaml. */
function describedBy(
  dataset: DatasetFile,
  options: AddOptions,
  ui: Ui,
): Pick<DataSale, "name" | "description" | "licence" | "licenceText"> {
  const { name = nameOf(dataset), description = dataset.description ?? "" } = options;
  const licenceText = options.licence ?? dataset.licence;
  const licence = licenceText === undefined ? "unspecified" : licenceNamed(licenceText);
  if (licence === undefined)
    ui.note(`"${printable(licenceText!)}" is not one of the licences of listings: the listing says unspecified`);
  return { name, description, licence: licence ?? "unspecified", licenceText };
}

/** The licence of listings that is meant, however it is spelt. */
const licenceNamed = (text: string): Licence | undefined =>
  LICENCES.find((licence) => licence.toLowerCase() === text.trim().toLowerCase());
