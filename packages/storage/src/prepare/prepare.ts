import fs from "node:fs/promises";
import path from "node:path";
import { encode, sha256, toHex } from "@skynet/protocol";
import { StorageError } from "../errors.ts";
import type { DataReader, RowBlock } from "../readers/reader.ts";
import type { DataFiles, DatasetFile } from "../schema/dataset-file.ts";
import { MAX_INPUTS } from "../schema/dataset-file.ts";
import { schemaOf } from "../schema/normalise.ts";
import { featuresOf } from "../schema/schema.ts";
import { arrange, createSplit, writeTestPart } from "./arrange.ts";
import { planColumns, type ColumnPlan } from "./columns.ts";
import { createEncoder, type EncodedRows, type RowEncoder } from "./encode.ts";
import { fileHash } from "./file-hash.ts";
import { joinReaders, renameColumns } from "./combine-readers.ts";
import { openPrepared, writePrepared, type PreparedDataset, type PreparedDescription } from "./prepared.ts";
import { scan, type Scan, type ScanOptions } from "./scan.ts";
import { readBlocks, type ScratchBlock } from "./scratch.ts";

/** Up to this many rows every class has exactly the same part in training and test. */
const MOST_STRATIFIED = 2 ** 22;
/** From so much of the file the types of the columns are inferred. */
const INFER_ROWS = 20_000;
const INFER_BLOCKS = 16;

export interface PrepareOptions {
  readonly dataset: DatasetFile;
  /** Name where dataset.yaml has none. */
  readonly name: string;
  /** Where prepared datasets are kept; only their owner may read them. */
  readonly folder: string;
  /** A file of this machine for what dataset.yaml names. */
  readonly resolve: (reference: string) => Promise<string>;
  readonly open: (file: string, dataset: DatasetFile) => Promise<DataReader>;
  /** How the model says that bytes become inputs. */
  readonly bytes?: { readonly offset: number; readonly divisor: number } | undefined;
  /** Bytes stay as they are, without a scale: for datasets that are sold. */
  readonly asBytes?: boolean;
  /** Without a test part: all rows are for training. */
  readonly whole?: boolean;
  /** Decides the order of the training part, 32 bytes. */
  readonly seed: Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** What is being done, and how much of it. */
  readonly onProgress?: ((stage: string, done: number, total: number) => void) | undefined;
}

/**
 * Reads the files of a dataset and keeps them as fixed-point inputs in a shuffled order. Done before with the same files
 * and settings: what is on disk is taken. What a crash left half done is made anew; a dataset is complete or absent.
 * @throws StorageError of the readers with file and place; `BadSchema`, `BadDataset`, `DiskFull`
 */
export async function prepareDataset(options: PrepareOptions): Promise<PreparedDataset> {
  const { dataset, folder, resolve, onProgress = () => undefined, signal } = options;
  const train = await resolveFiles(dataset.train, resolve);
  const test = options.whole || !dataset.test ? undefined : await resolveFiles(dataset.test, resolve);
  const sources = [train.inputs, train.targets, test?.inputs, test?.targets].filter((file) => file !== undefined);
  const hashes = new Map<string, { sha256: string; bytes: number }>();
  for (const file of sources) {
    const report = (done: number, total: number) => onProgress(`Checking ${path.basename(file)}`, done, total);
    hashes.set(file, await fileHash(file, { signal, onProgress: report }));
  }
  const id = await identityOf(
    options,
    [...hashes.values()].map((hash) => hash.sha256),
  );
  const target = path.join(folder, id);
  const known = await openPrepared(target);
  if (known) return known;
  const partial = `${target}.partial`;
  await fs.rm(partial, { recursive: true, force: true });
  await fs.mkdir(partial, { recursive: true, mode: 0o700 });
  try {
    const files = [...hashes].map(([file, hash]) => ({ name: path.basename(file), ...hash }));
    await writePrepared(partial, await make(options, { train, test, partial, files }));
    await fs.rm(target, { recursive: true, force: true });
    await fs.rename(partial, target);
  } catch (error) {
    await fs.rm(partial, { recursive: true, force: true });
    throw error;
  }
  return (await openPrepared(target))!;
}

async function resolveFiles({ inputs, targets }: DataFiles, resolve: PrepareOptions["resolve"]) {
  return {
    inputs: await resolve(inputs),
    targets: targets === undefined ? undefined : await resolve(targets),
  };
}
type LocalFiles = Awaited<ReturnType<typeof resolveFiles>>;

/** What decides the content of a prepared dataset. */
async function identityOf(options: PrepareOptions, hashes: readonly string[]): Promise<string> {
  const { name: _n, description: _d, licence: _l, train, test, ...settings } = options.dataset;
  const text = JSON.stringify({
    version: 1,
    hashes,
    files: [train, test].map((files) => files && Object.keys(files).length),
    settings,
    bytes: options.bytes ?? null,
    asBytes: options.asBytes ?? false,
    whole: options.whole ?? false,
  });
  return toHex(await sha256(encode({ text, seed: options.seed }))).slice(2);
}

interface Work {
  readonly train: LocalFiles;
  readonly test: LocalFiles | undefined;
  /** Folder of what is being made. */
  readonly partial: string;
  readonly files: PreparedDescription["files"];
}

async function make(options: PrepareOptions, { train, test, partial, files }: Work): Promise<PreparedDescription> {
  const { dataset, seed, signal, whole = false, asBytes = false, bytes } = options;
  const scratch = path.join(partial, "scratch.bin");
  const { plan, trainScan, targets } = await scanTraining(train, scratch, options);
  if (trainScan.rows === 0) throw new StorageError("BadDataset", "there are no rows", { hint: "check the file" });
  const schema = schemaOf({ name: dataset.name ?? options.name, plan: plan.columns, scan: trainScan, bytes, asBytes });
  const features = featuresOf(schema);
  if (features > MAX_INPUTS)
    throw new StorageError("TooLarge", `a sample has ${features} inputs, at most ${MAX_INPUTS} are possible`);
  const encoder = createEncoder(schema, plan.columns, trainScan);
  const { rows } = trainScan;
  const share = { test: dataset.split.test, seed: await splitSeed(dataset.split.seed) };
  const isTest = test || whole ? () => false : createSplit({ ...share, classes: targets });
  const counted = createCounter(schema.target.classes.length);
  const parts = await arrange(encodeFile(scratch, plan, encoder), {
    folder: partial,
    features,
    rows,
    seed,
    isTest,
    onRow: counted.add,
    signal,
    onProgress: (done, total) => options.onProgress?.(`Shuffling ${rows.toLocaleString("en")} samples`, done, total),
  });
  await fs.rm(scratch);
  let dropped = trainScan.dropped;
  if (test) {
    const testScan = await scanTest(test, scratch, plan, trainScan, options);
    dropped += testScan.dropped;
    const own = createEncoder(schema, plan.columns, testScan);
    parts.test = await writeTestPart(encodeFile(scratch, plan, own), partial, counted.add);
    for (const [name, count] of own.clipped) encoder.clipped.set(name, (encoder.clipped.get(name) ?? 0) + count);
    await fs.rm(scratch);
  }
  if (parts.train === 0) throw new StorageError("BadDataset", `all ${parts.test} rows are kept for testing`);
  const missing = plan.columns.map(({ name }, i) => [name, trainScan.columns[i]!.missing] as const);
  return {
    version: 1,
    schema,
    files: [...files],
    rows: { ...parts, dropped },
    classes: counted.counts,
    ignored: [...plan.ignored],
    missing: Object.fromEntries(missing.filter(([, count]) => count > 0)),
    clipped: Object.fromEntries(encoder.clipped),
  };
}

async function openFiles({ inputs, targets }: LocalFiles, { open, dataset }: PrepareOptions): Promise<DataReader> {
  const first = await open(inputs, dataset);
  try {
    const named = dataset.names === undefined ? first : renameColumns(first, dataset.names);
    return targets === undefined ? named : joinReaders(named, await open(targets, dataset));
  } catch (error) {
    await first.close();
    throw error;
  }
}

/** Reads the training file into `scratch`. `targets`: class codes of all rows, unless there are too many. */
async function scanTraining(files: LocalFiles, scratch: string, options: PrepareOptions) {
  const reader = await openFiles(files, options);
  try {
    const plan = planColumns(reader.columns, await firstBlocks(reader, options.signal), options.dataset);
    const targetAt = plan.columns.findIndex(({ role }) => role === "target");
    const collected = options.dataset.split.stratify ? createCollector(MOST_STRATIFIED) : undefined;
    const onBlock = (block: ScratchBlock) => collected?.add(block.columns[targetAt] as Uint16Array);
    const trainScan = await scanTo(scratch, reader, { plan: plan.columns, onBlock }, options);
    return { plan, trainScan, targets: collected?.all() };
  } finally {
    await reader.close();
  }
}

async function scanTest(
  files: LocalFiles,
  scratch: string,
  { columns }: ColumnPlan,
  trainScan: Scan,
  options: PrepareOptions,
): Promise<Scan> {
  const reader = await openFiles(files, options);
  try {
    const names = reader.columns.map(({ name }) => name);
    const plan = columns.map((column) => {
      const index = names.indexOf(column.name);
      if (index >= 0) return { ...column, index };
      throw new StorageError("BadSchema", `${reader.file} has no column "${column.name}"`, {
        hint: "test and training files have the same columns",
      });
    });
    const known = trainScan.columns.map(({ categories }) => categories);
    return await scanTo(scratch, reader, { plan, known }, options);
  } finally {
    await reader.close();
  }
}

async function scanTo(
  scratch: string,
  reader: DataReader,
  what: Pick<ScanOptions, "plan" | "known" | "onBlock">,
  { signal, onProgress }: PrepareOptions,
): Promise<Scan> {
  const handle = await fs.open(scratch, "w", 0o600);
  try {
    const report = (done: number, total: number) => onProgress?.(`Reading ${path.basename(reader.file)}`, done, total);
    return await scan(reader, { ...what, scratch: handle, signal, onProgress: report });
  } finally {
    await handle.close();
  }
}

async function firstBlocks(reader: DataReader, signal: AbortSignal | undefined): Promise<RowBlock[]> {
  const blocks: RowBlock[] = [];
  let rows = 0;
  for await (const block of reader.blocks({ signal })) {
    blocks.push(block);
    rows += block.rows;
    if (rows >= INFER_ROWS || blocks.length >= INFER_BLOCKS) break;
  }
  return blocks;
}

async function* encodeFile(scratch: string, { columns }: ColumnPlan, encoder: RowEncoder): AsyncGenerator<EncodedRows> {
  for await (const block of readBlocks(scratch, columns)) yield encoder.encode(block);
}

const splitSeed = (seed: number): Promise<Uint8Array> => sha256(encode({ split: seed }));

/** Rows of each class in each part. */
function createCounter(classes: number) {
  const zeros = () => Array.from({ length: classes }, () => 0);
  const counts = { train: zeros(), test: zeros() };
  const add = (part: "train" | "test", label: number): void => void counts[part][label]!++;
  return { counts, add };
}

/** Joins arrays, as long as there are not more elements than `most`. */
function createCollector(most: number) {
  let parts: Uint16Array[] | undefined = [];
  let length = 0;
  return {
    add(part: Uint16Array): void {
      length += part.length;
      if (length > most) parts = undefined;
      parts?.push(part);
    },
    all(): Uint16Array | undefined {
      if (parts === undefined) return undefined;
      const joined = new Uint16Array(length);
      let at = 0;
      for (const part of parts) {
        joined.set(part, at);
        at += part.length;
      }
      return joined;
    },
  };
}
