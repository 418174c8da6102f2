import type { Command } from "commander";
import { nameOf, readDatasetFile } from "../../data/dataset-file.ts";
import { sellDataset } from "../../roles/selling.ts";
import { integer, withUi } from "../options.ts";
import {
  addSaleOptions,
  addShopOptions,
  confirmFree,
  openOwnShop,
  type SaleOptions,
  type ShopOptions,
} from "../shop.ts";
import { addInspect } from "./data-inspect.ts";
import { addBuy, addList, addPrice, addRemove, addShow } from "./listing-actions.ts";

interface AddOptions extends ShopOptions, SaleOptions {
  readonly targets?: string;
  readonly batch: number;
}

/** `skynet data inspect|list|show|add|price|remove|buy`. */
export function addData(program: Command): void {
  const data = program
    .command("data")
    .description("inspect data; datasets of the marketplace: list, sell and buy them");
  addInspect(data);
  addList(data, "data");
  addShow(data, "data");
  addSaleOptions(addShopOptions(data.command("add").description("encrypt a dataset and put it up for sale")))
    .argument("<data>", "dataset.yaml, or a file or folder of data: CSV, Parquet, NumPy, IDX, images and more")
    .option("--targets <file>", "the classes, where they are in a file of their own, such as IDX labels")
    .option("--batch <n>", "samples in a batch", integer(1, 65_536), 128)
    .addHelpText(
      "after",
      `
Example:
  $ npx skynet data add iris.csv --name Iris --price 5
  $ npx skynet data add train-images-idx3-ubyte.gz --targets train-labels-idx1-ubyte.gz --name Clothes --price 5
  $ npx skynet host`,
    )
    .action((file: string, options: AddOptions) =>
      withUi(options, async (ui) => {
        await confirmFree("Publish the key, so that everybody can open the dataset", options);
        const { targets, batch, ...sale } = options;
        const dataset = await readDatasetFile(file, targets);
        const shop = await openOwnShop(options, ui);
        return sellDataset(shop, { ...sale, name: options.name ?? nameOf(dataset), dataset, batchSize: batch });
      }),
    );
  addPrice(data, "data");
  addRemove(data, "data");
  addBuy(data, "data");
}
