export { cidOf } from "@skynet/protocol";
export { dataKeyOf, decryptBlock, encryptBlock, generateDataKey, type DataKey } from "./age.ts";
export { batchLeaf, cutBatches, type Batch, type BatchSource, type Rows } from "./batches.ts";
export {
  DRAFT_PIN,
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
export { cidsOfContent, getContent, putContent, readContent } from "./ipfs/content.ts";
export { checkOutput, writeOutput, type OutputOptions } from "./disk/output-file.ts";
export { exportCar, type ExportCarOptions } from "./ipfs/export-car.ts";
export { fetchTree, type FetchTreeOptions, type WantedBlock } from "./ipfs/fetch-tree.ts";
export { exportFile, importFile, type FileOptions, type ImportOptions } from "./ipfs/files.ts";
export { importCar, type ImportCarOptions, type ImportedCar } from "./ipfs/import-car.ts";
export { StorageError, type StorageErrorCode } from "./errors.ts";
export { encodeIdx } from "./idx.ts";
export {
  cardSource,
  dataCard,
  distinctText,
  typeName,
  type CardOptions,
  type CardPart,
  type CardSource,
} from "./inspect/card.ts";
export { figure } from "./inspect/markdown.ts";
export { contactSheet, type SheetOptions, type SheetSample } from "./inspect/contact-sheet.ts";
export type { ValueCount } from "./inspect/distinct.ts";
export type { FixedPoint } from "./inspect/fixed-point.ts";
export { inspect, type ColumnReport, type InspectOptions, type Inspection } from "./inspect/inspect.ts";
export type { Summary } from "./inspect/moments.ts";
export type { Problem, ProblemKind } from "./inspect/problems.ts";
export type { SampleRow } from "./inspect/samples.ts";
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
export { labelsBeside } from "./readers/idx.ts";
export type { InputFile, OpenOptions } from "./readers/input.ts";
export { openReader } from "./readers/open.ts";
export { readRow } from "./readers/rows.ts";
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
export { downloadFile, type Downloaded, type DownloadOptions, type DownloadProgress } from "./remote/download.ts";
export { createGateways, GATEWAYS, type Gateways, type GatewayOptions } from "./remote/gateway.ts";
export type { HttpOptions } from "./remote/http.ts";
export { createIpfsNode, IPFS_NODE, type IpfsNode } from "./remote/ipfs-node.ts";
export { decryptFile, encryptFile } from "./remote/encrypt-file.ts";
export {
  createLighthouse,
  filecoinDeals,
  type FilecoinDeal,
  type Lighthouse,
  type LighthouseOptions,
  type LighthouseQuota,
} from "./remote/lighthouse.ts";
export {
  createPinningService,
  type RemotePin,
  type PinningService,
  type PinningServiceOptions,
} from "./remote/pinning-service.ts";
export type { PinRequest, RemoteObject, RemoteStatus, RemoteStorage } from "./remote/remote-storage.ts";
export {
  uploadFile,
  type PartTarget,
  type Uploaded,
  type UploadOptions,
  type UploadProgress,
} from "./remote/upload.ts";
export { packingOf, unpackFile, type Packing, type UnpackOptions } from "./sources/decompress.ts";
export { fetchSource, type FetchSourceOptions } from "./sources/source.ts";
export { joinReaders, renameColumns } from "./prepare/combine-readers.ts";
export { prepareDataset, type PrepareOptions } from "./prepare/prepare.ts";
export type { PreparedDataset, PreparedPart } from "./prepare/prepared.ts";
export { encodeSample, type SampleValue } from "./schema/encode-sample.ts";
export { datasetFileSchema, type DatasetFile } from "./schema/dataset-file.ts";
export { featuresOf, INPUT_SCALE, sampleShape, schemaSchema, type DatasetSchema } from "./schema/schema.ts";
