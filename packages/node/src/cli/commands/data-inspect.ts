import path from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import {
  cardSource,
  checkOutput,
  contactSheet,
  dataCard,
  fetchSource,
  inspect,
  StorageError,
  writeOutput,
  type CardPart,
  type DataFormat,
  type Inspection,
  type InspectOptions,
  type OutputOptions,
} from "@skynet/storage";
import { nameOf, normalisationOf, readDatasetFile } from "../../data/dataset-file.ts";
import type { FetchCid } from "../../data/fetch-cid.ts";
import { openDataFiles, type OpenedData } from "../../data/open-files.ts";
import { homeDir } from "../../runtime/home.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { openCidSource, type CidOptions } from "../cid-source.ts";
import {
  addUrlOptions,
  forceOption,
  fromOption,
  integer,
  jsonOption,
  relayOption,
  rpcOption,
  withUi,
  type ForceOption,
  type JsonOption,
  type UrlOptions,
} from "../options.ts";
import type { Ui } from "../ui.ts";
import { inspectionText } from "../inspection-text.ts";

interface InspectCommandOptions extends JsonOption, CidOptions, ForceOption, UrlOptions {
  readonly target?: string;
  readonly test?: string;
  readonly targets?: string;
  readonly format?: DataFormat;
  readonly header?: boolean;
  readonly skip?: number;
  readonly size?: readonly [number, number];
  readonly channels?: 1 | 3;
  readonly arrays?: readonly string[];
  readonly rows: number;
  readonly sheet: string | boolean;
  readonly card?: string | true;
  readonly name?: string;
  readonly licence?: string;
}

const FORMATS = ["csv", "tsv", "jsonl", "text", "parquet", "npy", "npz", "idx", "images"];
export const formatOption = (): Option =>
  new Option("--format <format>", "read it as this, whatever the name says").choices(FORMATS);

/** Work that ends before this needs no progress bar. */
const QUIET_MS = 2_000;

function sizeOption(text: string): [number, number] {
  const match = /^(\d{1,4})x(\d{1,4})$/.exec(text);
  if (!match) throw new InvalidArgumentError("height x width, such as 28x28");
  return [Number(match[1]), Number(match[2])];
}

/** `skynet data inspect FILE`. */
export function addInspect(data: Command): void {
  addUrlOptions(data.command("inspect"))
    .description("show what is in a file of data: columns, classes, samples, and problems")
    .argument("<file>", "file, folder of images, http(s) URL, CID, or dataset.yaml")
    .option("--target <column>", "column of the classes (default: one of a usual name, else the last one)")
    .option("--test <file>", "test data: its rows are looked for in the training data")
    .option("--targets <file>", "file of the classes, with as many rows (default of IDX: the one beside it)")
    .option("--rows <n>", "rows to show", integer(0, 100), 5)
    .option("--sheet <file>", "where to write the contact sheet of images (default: NAME.contact-sheet.png)")
    .option("--no-sheet", "write no contact sheet")
    .option("--card [file]", "write a data card (default: dataset.md)")
    .addOption(forceOption())
    .option("--name <text>", "name of the dataset, for the card")
    .option("--licence <text>", "its licence, for the card")
    .addOption(formatOption())
    .addOption(new Option("--header", "CSV: the first line names the columns (default: looked at)"))
    .addOption(new Option("--no-header", "CSV: the first line is data"))
    .option("--skip <n>", "CSV: lines before the table", integer(0, 1_000))
    .option("--size <HxW>", "images: height and width", sizeOption)
    .addOption(new Option("--channels <n>", "images: 1 for grey, 3 for colours").choices(["1", "3"]).argParser(Number))
    .option("--arrays <names>", "NumPy archives: arrays to read, such as x_test,y_test", (text) => text.split(","))
    .addOption(fromOption())
    .addOption(rpcOption())
    .addOption(relayOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  $ npx skynet data inspect iris.csv
  $ npx skynet data inspect examples/digits/dataset.yaml --card
  $ npx skynet data inspect train.csv --test test.csv --target diagnosis --card
  $ npx skynet data inspect bafybei... --format csv
  $ npx skynet data inspect photos.zip --size 32x32 --sheet photos.png`,
    )
    .action((file: string, options: InspectCommandOptions) => withUi(options, (ui) => run(file, options, ui)));
}

/** What a dataset.yaml says, unless the command line says otherwise. */
interface Settings extends InspectCommandOptions {
  readonly inputs: string;
  readonly testTargets?: string | undefined;
  readonly testArrays?: readonly string[] | undefined;
  readonly names?: readonly string[] | undefined;
  readonly description?: string | undefined;
  readonly normalise?: InspectOptions["normalise"];
  readonly choices?: InspectOptions["choices"];
}

async function settingsOf(ref: string, options: InspectCommandOptions): Promise<Settings> {
  if (!/\.ya?ml$/i.test(ref)) return { ...options, inputs: ref };
  const dataset = await readDatasetFile(ref, options.targets);
  const { train, test, image, target, format, skip, header, names, licence, description } = dataset;
  const said = { ...image, target, format, skip, header, licence, arrays: train.arrays };
  const given = { ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)), ...options };
  return {
    ...given,
    name: options.name ?? nameOf(dataset),
    inputs: train.inputs,
    ...(train.targets !== undefined && { targets: train.targets }),
    ...(options.test === undefined &&
      test && { test: test.inputs, testTargets: test.targets, testArrays: test.arrays }),
    names,
    description,
    normalise: normalisationOf(dataset),
    choices: dataset,
  };
}

async function run(ref: string, options: InspectCommandOptions, ui: Ui): Promise<Record<string, unknown>> {
  const signal = shutdownSignal();
  const settings = await settingsOf(ref, options);
  const { format, header, skip, size, channels, arrays, names, inputs, targets, rows: samples } = settings;
  const open = { format, header, skip, size, channels, arrays, signal };
  const cids = openCidSource(options, ui, signal);
  const fetch = (reference: string) => fetchData(reference, options, cids.fetchCid, ui, signal);
  const opened: OpenedData[] = [];
  try {
    const train = await openDataFiles(inputs, targets, { open, names, fetch });
    opened.push(train);
    if (settings.test !== undefined) {
      const openTest = { ...open, arrays: settings.testArrays ?? arrays };
      opened.push(await openDataFiles(settings.test, settings.testTargets, { open: openTest, names, fetch }));
    }
    const test = opened[1];
    const output = { overwrite: options.force, inputs: filesOf(ref, opened) };
    for (const file of filesAskedFor(settings)) await checkOutput(file, output);
    const target = settings.target ?? (train.targets && train.reader.columns.at(-1)!.name);
    const result = await inspect(train.reader, {
      target,
      samples,
      normalise: settings.normalise,
      choices: settings.choices,
      inputColumns: train.inputColumns,
      test: test?.reader,
      signal,
      onProgress: quietProgress(ui, `reading ${path.basename(train.file)}`),
      onTestProgress: quietProgress(ui, `reading ${path.basename(test?.file ?? "")}`),
    });
    const written = await writeFiles(result, opened, settings, { output, ui, signal });
    ui.line(inspectionText(result));
    if (written.sheet !== undefined) ui.line(`\nContact sheet: ${written.sheet}`);
    else if (written.keptSheet !== undefined)
      ui.note(`${written.keptSheet} was there already, and stays: --force replaces it, --sheet FILE writes another`);
    if (written.card !== undefined) ui.line(`\nData card: ${written.card}`);
    const { images: _images, ...report } = result;
    const { keptSheet: _keptSheet, ...files } = written;
    return { ...report, ...files };
  } finally {
    for (const { reader } of opened) await reader.close();
    await cids.close();
  }
}

/** A bar for what takes long. */
function quietProgress(ui: Ui, label: string): (done: number, total: number) => void {
  const startedMs = performance.now();
  return (done, total) => {
    if (performance.now() - startedMs > QUIET_MS) ui.progress(label, done, total);
  };
}

function fetchData(
  ref: string,
  options: InspectCommandOptions,
  fetchCid: FetchCid,
  ui: Ui,
  signal: AbortSignal,
): Promise<string> {
  const progress = quietProgress(ui, `downloading ${ref}`);
  return fetchSource(ref, {
    folder: path.join(homeDir(), "downloads"),
    allowPrivate: options.allowPrivate,
    refresh: options.refresh,
    fetchCid,
    signal,
    onProgress: (bytes, total) => progress(bytes, total ?? Math.max(bytes, 1) * 2),
  });
}

/** Everything that is read. */
const filesOf = (ref: string, opened: readonly OpenedData[]): string[] => [
  path.resolve(ref),
  ...opened.flatMap(({ file, targets }) => (targets === undefined ? [file] : [file, targets])),
];

const cardFile = ({ card }: Settings): string | undefined => (card === true ? "dataset.md" : card);

const filesAskedFor = (settings: Settings): string[] =>
  [settings.sheet, cardFile(settings)].filter((file) => typeof file === "string");

interface WriteContext {
  readonly output: OutputOptions;
  readonly ui: Ui;
  readonly signal: AbortSignal;
}

interface WrittenFiles {
  sheet?: string;
  /** A file that nobody has asked to replace, nor asked for. */
  keptSheet?: string;
  card?: string;
}

async function writeFiles(
  result: Inspection,
  [train, test]: readonly OpenedData[],
  options: Settings,
  { output, ui, signal }: WriteContext,
): Promise<WrittenFiles> {
  const name = path.basename(path.resolve(train!.file));
  const written: WrittenFiles = {};
  if (result.images.length > 0 && options.sheet !== false) {
    const file = typeof options.sheet === "string" ? options.sheet : `${name}.contact-sheet.png`;
    try {
      await writeOutput(file, await contactSheet(result.images), output);
      written.sheet = file;
    } catch (error) {
      if (typeof options.sheet === "string" || !(error instanceof StorageError) || error.code !== "FileExists")
        throw error;
      written.keptSheet = file;
    }
  }
  const target = cardFile(options);
  if (target !== undefined) {
    const source = (file: string, part: CardPart) =>
      cardSource(file, part, { signal, onProgress: quietProgress(ui, `hashing ${path.basename(file)}`) });
    const sources = [await source(train!.file, "train")];
    if (train!.targets !== undefined) sources.push(await source(train!.targets, "labels"));
    if (test !== undefined) sources.push(await source(test.file, "test"));
    if (test?.targets !== undefined) sources.push(await source(test.targets, "test labels"));
    const card = dataCard(result, {
      name: options.name ?? name,
      licence: options.licence,
      description: options.description,
      sources,
    });
    await writeOutput(target, card, output);
    written.card = target;
  }
  return written;
}
