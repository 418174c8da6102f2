import path from "node:path";
import type { Command } from "commander";
import { offerAnswers, sellModel } from "../../roles/selling.ts";
import { integer, tokens, withUi, yesOption } from "../options.ts";
import {
  addSaleOptions,
  addShopOptions,
  confirmFree,
  openOwnShop,
  tokenOption,
  type SaleOptions,
  type ShopOptions,
} from "../shop.ts";
import { addExport } from "./job-download.ts";
import { addBuy, addList, addPrice, addRemove, addShow } from "./listing-actions.ts";

type OfferOptions = ShopOptions & SaleOptions & { readonly maxLatency: number };

const nameOf = (file: string) => path.basename(file).replace(/\.onnx$/, "");

/** `skynet model list|show|add|offer|price|remove|buy|export`. */
export function addModel(program: Command): void {
  const model = program
    .command("model")
    .description("models of the marketplace: list, sell and buy them, or sell their answers");
  addList(model, "model");
  addShow(model, "model");
  addSaleOptions(addShopOptions(model.command("add").description("encrypt a model and put it up for sale")))
    .argument("<model>", "model that a job trained, or an ONNX file of a multi-layer perceptron with its weights")
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet model add model.onnx --price 20 --licence MIT\n  $ npx skynet host",
    )
    .action((file: string, options: ShopOptions & SaleOptions) =>
      withUi(options, async (ui) => {
        await confirmFree("Publish the key, so that everybody can open the model", options);
        const shop = await openOwnShop(options, ui);
        const { name = nameOf(file), description = "", licence = "unspecified" } = options;
        return sellModel(shop, { ...options, file, name, description, licence });
      }),
    );
  addShopOptions(model.command("offer").description("sell proven answers of a model; its weights stay here"))
    .argument("<model>", "model that a job trained, or an ONNX file of a multi-layer perceptron with its weights")
    .option("--name <text>", "name in the marketplace (default: the file's name)")
    .option("--description <text>", "what buyers should know")
    .requiredOption("--price <tokens>", "price of an answer", tokens)
    .addOption(tokenOption())
    .addOption(yesOption())
    .option("--max-latency <seconds>", "an answer comes within this time, or is not paid", integer(1, 604_800), 120)
    .addHelpText("after", "\nExample:\n  $ npx skynet model offer model.onnx --price 0.1\n  $ npx skynet host")
    .action((file: string, options: OfferOptions) =>
      withUi(options, async (ui) => {
        await confirmFree("Answer everybody for nothing, and pay the gas", options);
        const shop = await openOwnShop(options, ui);
        const { name = nameOf(file), description = "" } = options;
        return offerAnswers(shop, { ...options, file, name, description });
      }),
    );
  addPrice(model, "model");
  addRemove(model, "model");
  addBuy(model, "model");
  addExport(model);
}
