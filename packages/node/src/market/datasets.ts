// Datasets as they are sold: bytes as they stand in the files, cut into batches in an order that everybody can repeat.
import { dataAux, keccak256, merkleRoot, SkyNetError, toHex, type DataMetadata, type Hex } from "@skynet/protocol";
import { batchLeaf, buildBatches, encodeIdx, type Batch } from "@skynet/storage";
import { readPart } from "../roles/requester-data.ts";
import type { OpenedBatches } from "./content.ts";

export interface PreparedDataset {
  readonly batches: readonly Batch[];
  /** Merkle root over the batches. */
  readonly contentRoot: Hex;
  readonly aux: Hex;
  readonly samples: number;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly batchSize: number;
}

const ORDER_SEED = keccak256(new TextEncoder().encode("skynet/1/listing order"));
/** Values are bytes as they are: no fraction bits. */
const SCALE = 0;

/**
 * Reads IDX files of images and labels and cuts them into batches.
 * @throws StorageError `BadIdx`, `TruncatedIdx`, `FileNotFound`; SkyNetError `DataMismatch`
 */
export async function prepareDataset(images: string, labels: string, batchSize: number): Promise<PreparedDataset> {
  const part = await readPart(images, labels);
  const classes = Math.max(2, 1 + part.labels.reduce((most, label) => Math.max(most, label), 0));
  const size = Math.min(batchSize, part.count);
  // the same bytes: a batch holds integers from -128 to 127
  const x = new Int8Array(part.images.buffer, part.images.byteOffset, part.images.length);
  const batches = buildBatches({ images: x, labels: part.labels, batchSize: size, seed: ORDER_SEED });
  const contentRoot = toHex(merkleRoot(batches.map((batch) => batchLeaf(batch, part.features, SCALE))));
  const { shape, count: samples } = part;
  const aux = dataAux(batches.length, size, shape, classes);
  return { batches, contentRoot, aux, samples, shape, classes, batchSize: size };
}

/**
 * A bought dataset as two IDX files, without the samples that only fill up the last batch. The root over the batches was
 * compared when they were opened; here the rest of what the listing says.
 * @throws SkyNetError `WrongContent`
 */
export function datasetFiles(
  { batches, batchSize, features, classes }: OpenedBatches,
  aux: Hex,
  { samples, shape, classes: listedClasses, batchSize: listedSize }: DataMetadata,
): { images: Uint8Array; labels: Uint8Array } {
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
  const images = new Uint8Array(samples * features);
  const labels = new Uint8Array(samples);
  batches.forEach(({ x, y }, index) => {
    const first = index * batchSize;
    const rows = Math.min(batchSize, samples - first);
    images.set(new Uint8Array(x.buffer, x.byteOffset, rows * features), first * features);
    labels.set(y.subarray(0, rows), first);
  });
  return {
    images: encodeIdx({ shape: [samples, ...shape], data: images }),
    labels: encodeIdx({ shape: [samples], data: labels }),
  };
}
