export { cidOf } from "@skynet/protocol";
export { dataKeyOf, decryptBlock, encryptBlock, generateDataKey, type DataKey } from "./age.ts";
export { batchLeaf, buildBatches, INPUT_SCALE, type Batch, type BuildBatchesOptions } from "./batches.ts";
export {
  openBlockStore,
  type BlockStore,
  type BlockStoreOptions,
  type DiskBlockStore,
  type GcOptions,
  type LostBlock,
  type StoreStats,
  type VerifyOptions,
  type VerifyReport,
} from "./blocks/block-store.ts";
export type { Pin, Totals } from "./blocks/block-index.ts";
export {
  openDataset,
  publishDataset,
  type Dataset,
  type OpenDatasetOptions,
  type PublishDatasetOptions,
  type PublishedDataset,
} from "./dataset.ts";
export { StorageError, type StorageErrorCode } from "./errors.ts";
export { encodeIdx, readIdx, type IdxArray } from "./idx.ts";
export type { ValueCount } from "./inspect/distinct.ts";
export type { Summary } from "./inspect/moments.ts";
export {
  createStatistics,
  isMissing,
  MISSING_TEXTS,
  numberOf,
  type ColumnStatistics,
  type Statistics,
  type StatisticsOptions,
} from "./inspect/statistics.ts";
export { parseManifest, type BatchCommitments, type Manifest } from "./manifest.ts";
export type { InputFile, OpenOptions } from "./readers/input.ts";
export { openReader } from "./readers/open.ts";
export type {
  Cell,
  CellColumn,
  Column,
  ColumnInfo,
  DataFormat,
  DataReader,
  NumericArray,
  ReadOptions,
  RowBlock,
  TensorColumn,
} from "./readers/reader.ts";
export { packingOf, unpackFile, type Packing, type UnpackOptions } from "./sources/decompress.ts";
