import fs from "node:fs/promises";
import path from "node:path";
import { randomUUID } from "node:crypto";
import { encode, sha256, toHex } from "@skynet/protocol";
import { isAlive } from "../disk/is-alive.ts";
import { StorageError, storeError } from "../errors.ts";
import { createStatistics, type ColumnStatistics } from "../inspect/statistics.ts";
import { labelsBeside } from "../readers/idx.ts";
import type { DataReader } from "../readers/reader.ts";
import type { DataFiles, DatasetFile } from "../schema/dataset-file.ts";
import { MAX_INPUTS } from "../schema/dataset-file.ts";
import { schemaOf } from "../schema/normalise.ts";
import { checkLengths, featuresOf } from "../schema/schema.ts";
import { arrange, createSplit, writeTestPart } from "./arrange.ts";
import { INFER_ROWS, planColumns, type ColumnPlan, type PlannedColumn } from "./columns.ts";
import { createEncoder, type EncodedRows, type RowEncoder } from "./encode.ts";
import { fileHash } from "./file-hash.ts";
import { fitColumns } from "./fit.ts";
import { joinReaders, renameColumns } from "./combine-readers.ts";
import { createParts, splitColumn } from "./split-column.ts";
import { openPrepared, writePrepared, type PreparedDataset, type PreparedDescription } from "./prepared.ts";
import { scan, type Scan, type ScannedColumn, type ScanOptions } from "./scan.ts";
import { readBlocks, storedType, type Dtype, type ScratchBlock } from "./scratch.ts";

/** Up to this many rows every class has exactly the same part in training and test. */
const MOST_STRATIFIED = 2 ** 22;

export interface PrepareOptions {
  readonly dataset: DatasetFile;
  /** Name where dataset.yaml has none. */
  readonly name: string;
  /** Where prepared datasets are kept; only their owner may read them. */
  readonly folder: string;
  /** A file of this machine for what dataset.yaml names. */
  readonly resolve: (reference: string) => Promise<string>;
  /** @param arrays of an archive of NumPy, where dataset.yaml names them */
  readonly open: (file: string, dataset: DatasetFile, arrays?: readonly string[]) => Promise<DataReader>;
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
  const id = await identityOf(options, { train, test, hashes });
  const target = path.join(folder, id);
  const known = await openPrepared(target);
  if (known) return known;
  await removeLeftovers(folder);
  const partial = path.join(folder, `${id}${PARTIAL}${process.pid}-${randomUUID()}`);
  await fs.mkdir(partial, { recursive: true, mode: 0o700 });
  try {
    const files = [...hashes].map(([file, hash]) => ({ name: path.basename(file), ...hash }));
    await writePrepared(partial, await make(options, { train, test, partial, files }));
    await publish(partial, target);
  } finally {
    await fs.rm(partial, { recursive: true, force: true });
  }
  return (await openPrepared(target))!;
}

/** Another process may have made the same meanwhile, and read it: only what is damaged makes room. */
async function publish(partial: string, target: string): Promise<void> {
  const isThere = async () => (await openPrepared(target)) !== undefined;
  const rename = () => fs.rename(partial, target);
  await rename().catch(async () => {
    if (await isThere()) return;
    await fs.rm(target, { recursive: true, force: true });
    await rename().catch(async (error: unknown) => {
      if (!(await isThere())) throw storeError(error, target);
    });
  });
}

const PARTIAL = ".partial-";

/** Removes what processes that are gone have left half done. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await fs.readdir(folder).catch(() => [] as string[])) {
    const pid = Number(name.split(PARTIAL)[1]?.split("-")[0]);
    if (pid > 0 && !isAlive(pid)) await fs.rm(path.join(folder, name), { recursive: true, force: true });
  }
}

/** Files of this machine. Labels of an IDX file are found beside it, as data inspect does. */
async function resolveFiles({ inputs, targets, arrays }: DataFiles, resolve: PrepareOptions["resolve"]) {
  const file = await resolve(inputs);
  if (targets !== undefined) return { inputs: file, targets: await resolve(targets), arrays };
  const beside = labelsBeside(file);
  const isThere =
    beside !== undefined &&
    (await fs.access(beside).then(
      () => true,
      () => false,
    ));
  return { inputs: file, targets: isThere ? beside : undefined, arrays };
}
type LocalFiles = Awaited<ReturnType<typeof resolveFiles>>;

interface HashedFiles {
  readonly train: LocalFiles;
  readonly test: LocalFiles | undefined;
  readonly hashes: ReadonlyMap<string, { readonly sha256: string }>;
}

/** What decides the content of a prepared dataset: names of files may tell their format. */
async function identityOf(options: PrepareOptions, { train, test, hashes }: HashedFiles): Promise<string> {
  const { name: _n, description: _d, licence: _l, train: _train, test: _test, ...settings } = options.dataset;
  const hashOf = (file: string | undefined) => file && [path.basename(file), hashes.get(file)!.sha256];
  const text = JSON.stringify({
    version: 2,
    files: [train.inputs, train.targets, test?.inputs, test?.targets].map((file) => hashOf(file) ?? null),
    arrays: [train.arrays ?? null, test?.arrays ?? null],
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
  const scanned = await scanTraining(train, scratch, options);
  const { plan, trainScan, targets, isHeld } = scanned;
  const { rows } = trainScan;
  const share = { test: dataset.split.test, seed: await splitSeed(dataset.split.seed) };
  const newSplit = () => (test || whole ? () => false : (isHeld ?? createSplit({ ...share, classes: targets })));
  const summaries = await fitColumns(readBlocks(scratch, plan.columns), plan.columns, newSplit(), (done) => {
    signal?.throwIfAborted();
    options.onProgress?.("Summing up the columns", done, rows);
  });
  const name = dataset.name ?? options.name;
  const schema = schemaOf({ name, plan: plan.columns, scan: trainScan, summaries, bytes, asBytes });
  checkLengths(schema);
  const features = featuresOf(schema);
  if (features > MAX_INPUTS)
    throw new StorageError("TooLarge", `a sample has ${features} inputs, at most ${MAX_INPUTS} are possible`);
  const encoder = createEncoder(schema, plan.columns, trainScan);
  const counted = createCounter(schema.target.classes.length);
  const parts = await arrange(encodeFile(scratch, plan, encoder), {
    folder: partial,
    features,
    rows,
    seed,
    isTest: newSplit(),
    onRow: counted.add,
    signal,
    onProgress: (done, total) => options.onProgress?.(`Shuffling ${rows.toLocaleString("en")} samples`, done, total),
  });
  await fs.rm(scratch);
  let testScan: Scan | undefined;
  if (test) {
    testScan = await scanTest(test, scratch, scanned, options);
    const own = createEncoder(schema, plan.columns, testScan);
    parts.test = await writeTestPart(encodeFile(scratch, plan, own), partial, counted.add);
    for (const [name, count] of own.clipped) encoder.clipped.set(name, (encoder.clipped.get(name) ?? 0) + count);
    await fs.rm(scratch);
  }
  if (parts.train === 0) throw new StorageError("BadDataset", `all ${parts.test} rows are kept for testing`);
  const scans = testScan === undefined ? [trainScan] : [trainScan, testScan];
  return {
    version: 1,
    schema,
    files: [...files],
    rows: { ...parts, dropped: scans.reduce((sum, { dropped }) => sum + dropped, 0) },
    classes: counted.counts,
    ignored: [...plan.ignored],
    missing: countsOf(plan.columns, scans, ({ missing }) => missing),
    unknown: countsOf(plan.columns, scans, ({ unknown }) => unknown),
    clipped: Object.fromEntries(encoder.clipped),
    constant: encoder.constant(),
  };
}

/** By column, without zeros. */
function countsOf(plan: readonly PlannedColumn[], scans: readonly Scan[], of: (column: ScannedColumn) => number) {
  const counts = plan.map(({ name }, i) => [name, scans.reduce((sum, scan) => sum + of(scan.columns[i]!), 0)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** Targets are read as they are: format, names and lines to skip are those of the inputs. */
async function openFiles({ inputs, targets, arrays }: LocalFiles, { open, dataset }: PrepareOptions) {
  const first = await open(inputs, dataset, arrays);
  try {
    const named = dataset.names === undefined ? first : renameColumns(first, dataset.names);
    const { length } = named.columns;
    if (targets === undefined) return { reader: named, inputColumns: length };
    const plain = { ...dataset, format: undefined, skip: undefined, header: undefined };
    return { reader: joinReaders(named, await open(targets, plain)), inputColumns: length };
  } catch (error) {
    await first.close();
    throw error;
  }
}

/** Reads the training file into `scratch`. `targets`: class codes of all rows, unless there are too many. */
async function scanTraining(files: LocalFiles, scratch: string, options: PrepareOptions) {
  const { reader, inputColumns } = await openFiles(files, options);
  try {
    const seen = await firstStatistics(reader, options.signal);
    if (seen[0]!.rows === 0) throw noRows(reader.file);
    const splitAt = splitColumn(reader, options.dataset);
    const plan = planColumns(reader.columns, seen, options.dataset, { inputColumns, splitAt });
    const targetAt = plan.columns.findIndex(({ role }) => role === "target");
    const collected = options.dataset.split.stratify ? createCollector(MOST_STRATIFIED) : undefined;
    const onBlock = (block: ScratchBlock) => collected?.add(block.columns[targetAt] as Uint16Array);
    const parts = splitAt === undefined ? undefined : createParts(splitAt);
    const trainScan = await scanTo(scratch, reader, { plan: plan.columns, onBlock, onRows: parts?.add }, options);
    if (trainScan.rows === 0) throw noRows(reader.file);
    return { plan, trainScan, targets: collected?.all(), isHeld: parts?.isHeld, format: reader.format };
  } finally {
    await reader.close();
  }
}

const noRows = (file: string): StorageError =>
  new StorageError("BadDataset", `${file} has no rows`, {
    hint: "a table has rows below its names, and not all of them without values",
  });

/** Images of the test part get the size and colours of those for training. */
async function scanTest(
  files: LocalFiles,
  scratch: string,
  { plan: { columns }, trainScan, format }: Awaited<ReturnType<typeof scanTraining>>,
  options: PrepareOptions,
): Promise<Scan> {
  const [height, width, channels = 1] = columns.find(({ kind }) => kind === "tensor")?.shape ?? [];
  const image = { size: [height!, width!] as [number, number], channels: channels as 1 | 3 };
  const dataset = format === "images" ? { ...options.dataset, image } : options.dataset;
  const { reader } = await openFiles(files, { ...options, dataset });
  try {
    const byPlace = files.arrays !== undefined && files.arrays.length === options.dataset.train.arrays?.length;
    const plan = columns.map((column) => inTestFile(column, reader, byPlace));
    const known = trainScan.columns.map(({ categories }) => categories);
    return await scanTo(scratch, reader, { plan, known }, options);
  } finally {
    await reader.close();
  }
}

/**
 * Where a column of the training file is in the test file: by its name, or by its place among arrays that dataset.yaml
 * names for both.
 * @throws StorageError `BadSchema` unless it is of the same kind
 */
function inTestFile(column: PlannedColumn, { columns, file }: DataReader, byPlace: boolean): PlannedColumn {
  const index = byPlace ? column.index : columns.findIndex(({ name }) => name === column.name);
  const found = columns[index];
  const differs = (what: string) =>
    new StorageError("BadSchema", `${file} ${what}`, { hint: "test and training files have the same columns" });
  if (found === undefined) throw differs(`has no column "${column.name}"`);
  const isTensor = found.kind === "tensor";
  const shape = found.shape ?? [];
  if (column.role === "target" ? shape.length > 0 : isTensor !== (column.kind === "tensor"))
    throw differs(`has another kind of values in the column "${column.name}"`);
  if (column.kind !== "tensor") return { ...column, index };
  if (shape.join() !== column.shape.join())
    throw differs(
      `has ${shape.join(" x ") || 1} values in the column "${column.name}", not ${column.shape.join(" x ")}`,
    );
  if (!holds(storedType(column.dtype), storedType(found.dtype!)))
    throw differs(`has ${found.dtype} values in the column "${column.name}", not ${column.dtype}`);
  return { ...column, index };
}

/** Whether numbers of one type are kept in another as they are. */
const holds = (type: Dtype, other: Dtype): boolean =>
  type === other || type === "float64" || (type === "float32" && /8|16/.test(other));

async function scanTo(
  scratch: string,
  reader: DataReader,
  what: Pick<ScanOptions, "plan" | "known" | "onBlock" | "onRows">,
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

async function firstStatistics(reader: DataReader, signal: AbortSignal | undefined): Promise<ColumnStatistics[]> {
  const statistics = createStatistics(reader.columns);
  let rows = 0;
  for await (const block of reader.blocks({ signal })) {
    statistics.add(block);
    rows += block.rows;
    if (rows >= INFER_ROWS) break;
  }
  return statistics.result();
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
