// Imports data/table.csv of a folder: samples on disk, then encrypted blocks. A process of its own, to be killed.
import path from "node:path";
import process from "node:process";
import { cutBatches } from "../batches.ts";
import { openBlockStore } from "../blocks/block-store.ts";
import { publishDataset } from "../dataset.ts";
import { openReader } from "../readers/open.ts";
import { datasetFileSchema } from "../schema/dataset-file.ts";
import { prepareDataset } from "./prepare.ts";

const [folder, recipient] = process.argv.slice(2) as [string, string];
const say = (text: string) => process.stdout.write(`${text}\n`);
say("begun");
const data = await prepareDataset({
  dataset: datasetFileSchema.parse({ train: path.join(folder, "table.csv") }),
  name: "table",
  folder: path.join(folder, "datasets"),
  resolve: async (file) => file,
  open: (file) => openReader(file),
  seed: Uint8Array.of(1),
  onProgress: (stage, done) => say(`${stage} ${done}`),
});
say("prepared");
const blockStore = await openBlockStore(path.join(folder, "blocks"));
const { root } = await publishDataset({
  name: "table",
  source: cutBatches(data.train, data.features, 64),
  classes: 3,
  blockStore,
  recipient,
  onProgress: ({ batches }) => say(`block ${batches}`),
});
blockStore.close();
say(`root ${root}`);
