// Datasets of jobs and listings: from the files that were named to samples on this machine's disk.
import path from "node:path";
import {
  fetchSource,
  openReader,
  prepareDataset,
  type DatasetFile,
  type FetchSourceOptions,
  type PreparedDataset,
  type PrepareOptions,
} from "@skynet/storage";
import type { Ui } from "../cli/ui.ts";
import { nameOf } from "./dataset-file.ts";

/** How URLs are downloaded. */
export type UrlChoices = Pick<FetchSourceOptions, "allowPrivate" | "refresh">;

export interface DataPlace extends UrlChoices {
  /** Prepared datasets and downloads are kept in it. */
  readonly dataDir: string;
  /** Prepared datasets go here instead, a folder that nobody else uses. */
  readonly preparedDir?: string | undefined;
  readonly ui: Ui;
  readonly signal: AbortSignal;
  /** Gets the file behind a CID; absent: CIDs are refused. */
  readonly fetchCid?: FetchSourceOptions["fetchCid"] | undefined;
}

type Choices = Pick<PrepareOptions, "bytes" | "asBytes" | "whole" | "seed">;

/**
 * Fetches and reads a dataset, once: what was prepared with the same files and settings is taken from the disk.
 * @throws StorageError, see `prepareDataset` and `fetchSource`
 */
export function prepare(dataset: DatasetFile, choices: Choices, place: DataPlace): Promise<PreparedDataset> {
  const { dataDir, preparedDir: folder = path.join(dataDir, "datasets"), ui, signal } = place;
  return prepareDataset({
    ...choices,
    dataset,
    name: nameOf(dataset),
    folder,
    resolve: (reference) => localFile(reference, place),
    open: openDataFile,
    signal,
    onProgress: (stage, done, total) => ui.progress(stage, done, total),
  });
}

/** Opens a file as its dataset.yaml says. */
export const openDataFile = (file: string, { format, skip, header, image }: DatasetFile, arrays?: readonly string[]) =>
  openReader(file, { format, skip, header, arrays, ...image });

/** A file of this machine for a path, a URL or a CID. */
export const localFile = (
  reference: string,
  { dataDir, ui, signal, fetchCid, allowPrivate, refresh }: DataPlace,
): Promise<string> =>
  fetchSource(reference, {
    folder: path.join(dataDir, "downloads"),
    allowPrivate,
    refresh,
    signal,
    onProgress: (done, total) => ui.progress(`Downloading ${path.basename(reference)}`, done, total ?? done),
    fetchCid,
  });
