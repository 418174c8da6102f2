import path from "node:path";
import type { Command } from "commander";
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
import { addBuy, addList, addPrice, addRemove, addShow } from "./listing-actions.ts";

interface AddOptions extends ShopOptions, SaleOptions {
  readonly images: string;
  readonly labels: string;
  readonly batch: number;
}

/** `skynet data list|show|add|price|remove|buy`. */
export function addData(program: Command): void {
  const data = program.command("data").description("datasets of the marketplace: list, sell and buy them");
  addList(data, "data");
  addShow(data, "data");
  addSaleOptions(addShopOptions(data.command("add").description("encrypt a dataset and put it up for sale")))
    .requiredOption("--images <file>", "IDX file of images, plain or gzipped")
    .requiredOption("--labels <file>", "IDX file of their classes")
    .option("--batch <n>", "samples in a batch", integer(1, 65_536), 128)
    .addHelpText(
      "after",
      `
Example:
  $ npx skynet data add --images train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz --name Clothes --price 5
  $ npx skynet host`,
    )
    .action((options: AddOptions) =>
      withUi(options, async (ui) => {
        await confirmFree("Publish the key, so that everybody can open the dataset", options);
        const shop = await openOwnShop(options, ui);
        const { images, labels, batch, ...sale } = options;
        const name = options.name ?? path.basename(images).replace(/(-idx\d-ubyte)?(\.gz)?$/, "");
        return sellDataset(shop, { ...sale, name, images, labels, batchSize: batch });
      }),
    );
  addPrice(data, "data");
  addRemove(data, "data");
  addBuy(data, "data");
}
