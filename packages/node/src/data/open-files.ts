// Files of data as a command line or a dataset.yaml names them, opened for reading as they are.
import fs from "node:fs/promises";
import {
  joinReaders,
  labelsBeside,
  openReader,
  renameColumns,
  type DataReader,
  type OpenOptions,
} from "@skynet/storage";

export interface OpenedData {
  readonly reader: DataReader;
  /** On this machine. */
  readonly file: string;
  /** The columns behind so many come from the file of the classes. */
  readonly inputColumns: number;
  /** The file of the classes, where there is one. */
  readonly targets: string | undefined;
}

export interface OpenDataOptions {
  readonly open: OpenOptions;
  /** Names of the columns of the first file. */
  readonly names?: readonly string[] | undefined;
  /** Brings what is named onto this machine. */
  readonly fetch: (reference: string) => Promise<string>;
}

/**
 * Opens a file, side by side with that of its classes: the one that is named, or for IDX files the one beside it.
 * @throws StorageError of the readers; `BadDataset` if the two have different numbers of rows
 */
export async function openDataFiles(
  inputs: string,
  targets: string | undefined,
  { open, names, fetch }: OpenDataOptions,
): Promise<OpenedData> {
  const file = await fetch(inputs);
  const targetsFile = targets === undefined ? await existing(labelsBeside(file)) : await fetch(targets);
  const first = await openReader(file, open);
  try {
    const named = names === undefined ? first : renameColumns(first, names);
    const inputColumns = named.columns.length;
    if (targetsFile === undefined) return { reader: named, inputColumns, file, targets: undefined };
    const second = await openReader(targetsFile, { signal: open.signal });
    return { reader: joinReaders(named, second), inputColumns, file, targets: targetsFile };
  } catch (error) {
    await first.close();
    throw error;
  }
}

async function existing(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  return fs.access(file).then(
    () => file,
    () => undefined,
  );
}
