// Datasets as they are sold: cut into batches in an order that everybody can repeat.
import {
  cleanText,
  dataAux,
  keccak256,
  merkleRoot,
  SkyNetError,
  toHex,
  type DataMetadata,
  type Hex,
} from "@skynet/protocol";
import {
  batchLeaf,
  cutBatches,
  encodeIdx,
  sampleShape,
  type BatchSource,
  type DatasetFile,
  type PreparedDataset,
} from "@skynet/storage";
import { stringify } from "yaml";
import { prepare, type DataPlace } from "../data/prepare.ts";
import type { BoughtFile } from "./bought-files.ts";
import type { OpenedBatches } from "./content.ts";

export interface DatasetForSale {
  readonly prepared: PreparedDataset;
  readonly source: BatchSource;
  /** Merkle root over the batches. */
  readonly contentRoot: Hex;
  readonly aux: Hex;
  readonly samples: number;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly batchSize: number;
  /** Fraction bits of the inputs; 0: bytes as they are. */
  readonly scale: number;
}

const ORDER_SEED = keccak256(new TextEncoder().encode("skynet/1/listing order"));

/**
 * Reads a dataset and cuts its training part into batches: all rows, where it has no test part of its own.
 * @throws StorageError about the files
 */
export async function prepareForSale(
  dataset: DatasetFile,
  batchSize: number,
  place: DataPlace,
): Promise<DatasetForSale> {
  const prepared = await prepare(dataset, { seed: ORDER_SEED, asBytes: true, whole: true }, place);
  const { schema, train, features } = prepared;
  const source = cutBatches(train, features, Math.min(batchSize, train.rows));
  const scale = schema.scale ?? 0;
  const leaves: Uint8Array[] = [];
  for (let i = 0; i < source.count; i++) {
    place.signal.throwIfAborted();
    leaves.push(batchLeaf(await source.batch(i), features, scale));
    place.ui.progress("Hashing the batches", i + 1, source.count);
  }
  const contentRoot = toHex(merkleRoot(leaves));
  const shape = listedShape(sampleShape(schema));
  const classes = schema.target.classes.length;
  const aux = dataAux(source.count, source.batchSize, shape, classes);
  const { batchSize: size } = source;
  return { prepared, source, contentRoot, aux, samples: train.rows, shape, classes, batchSize: size, scale };
}

/** Listings name up to three dimensions. */
const listedShape = (shape: readonly number[]): number[] =>
  shape.length <= 3 ? [...shape] : [shape.reduce((product, size) => product * size, 1)];

/**
 * A bought dataset: inputs and classes as IDX files, without the samples that only fill up the last batch, and a
 * dataset.yaml for jobs. The root over the batches was compared when they were opened; here the rest of what the listing
 * says.
 * @throws SkyNetError `WrongContent`
 */
export function datasetFiles(
  { batches, batchSize, features, classes, scale }: OpenedBatches,
  aux: Hex,
  { name, description, samples, shape, classes: listedClasses, batchSize: listedSize }: DataMetadata,
  licence: string,
): BoughtFile[] {
  const fits =
    dataAux(batches.length, batchSize, shape, classes) === aux &&
    classes === listedClasses &&
    batchSize === listedSize &&
    shape.reduce((product, size) => product * size, 1) === features &&
    Math.ceil(samples / batchSize) === batches.length;
  if (!fits)
    throw new SkyNetError("WrongContent", "the dataset does not have the size and shape that its listing says", {
      hint: "nothing was written; the key was right, so the contract cannot refund this: warn others of the seller",
    });
  const inputs = new Int8Array(samples * features);
  const labels = new Uint8Array(samples);
  batches.forEach(({ x, y }, index) => {
    const first = index * batchSize;
    const rows = Math.min(batchSize, samples - first);
    inputs.set(x.subarray(0, rows * features), first * features);
    labels.set(y.subarray(0, rows), first);
  });
  const isBytes = scale === 0;
  const names = { inputs: isBytes ? "images-idx3-ubyte" : "inputs-idx2-byte", targets: "labels-idx1-ubyte" };
  const data = isBytes ? new Uint8Array(inputs.buffer) : inputs;
  const normalise = isBytes ? {} : { normalise: { offset: 0, divisor: 2 ** scale } };
  const about = {
    name: cleanText(name, 100),
    ...(description !== "" && { description: cleanText(description, 2000) }),
    ...(licence !== "unspecified" && { licence }),
  };
  const dataset = { ...about, train: names, ...normalise };
  return [
    { name: names.inputs, content: encodeIdx({ shape: [samples, ...shape], data }) },
    { name: names.targets, content: encodeIdx({ shape: [samples], data: labels }) },
    { name: "dataset.yaml", content: new TextEncoder().encode(stringify(dataset)) },
  ];
}
