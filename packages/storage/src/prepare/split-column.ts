// Folders of images that say which of them are for training.
import type { DataReader, RowBlock } from "../readers/reader.ts";
import type { DatasetFile } from "../schema/dataset-file.ts";
import { SPLIT_COLUMN } from "../schema/target-column.ts";

/** The column that tells the folders, unless dataset.yaml uses it otherwise. */
export function splitColumn(
  { format, columns }: DataReader,
  file: Partial<Pick<DatasetFile, "target" | "columns" | "names">> = {},
): number | undefined {
  const at = columns.findIndex(({ name }) => name === SPLIT_COLUMN);
  const isOwn = file.target === SPLIT_COLUMN || file.columns?.[SPLIT_COLUMN] !== undefined || file.names !== undefined;
  return format !== "images" || at < 0 || isOwn ? undefined : at;
}

/** Remembers which rows are not for training. */
export function createParts(splitAt: number) {
  const held: boolean[] = [];
  return {
    add({ columns, rows }: RowBlock, drop: Uint8Array): void {
      for (let row = 0; row < rows; row++)
        if (drop[row] !== 1) held.push(!/^train/i.test(String(columns[splitAt]!.values[row])));
    },
    isHeld: (row: number): boolean => held[row] === true,
  };
}
