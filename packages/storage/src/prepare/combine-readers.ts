import { StorageError } from "../errors.ts";
import type { DataReader, ReadOptions, RowBlock } from "../readers/reader.ts";
import { sliceRows } from "../readers/rows.ts";

/**
 * Two files side by side, such as images and their classes, as one with the columns of both; those of the second come
 * last. Its column names that the first has too get "target " in front.
 * @throws StorageError `BadDataset` when one has more rows than the other, at the latest when the rows are read
 */
export function joinReaders(inputs: DataReader, targets: DataReader): DataReader {
  const taken = new Set(inputs.columns.map(({ name }) => name));
  const renamed = <C extends { readonly name: string }>(column: C): C =>
    taken.has(column.name) ? { ...column, name: `target ${column.name}` } : column;
  const differ = (a: number | string, b: number | string) =>
    new StorageError("BadDataset", `${inputs.file} has ${a} rows, ${targets.file} has ${b}`, {
      hint: "inputs and targets must come from the same set",
    });
  if (inputs.rows !== undefined && targets.rows !== undefined && inputs.rows !== targets.rows)
    throw differ(inputs.rows, targets.rows);
  return {
    format: inputs.format,
    file: inputs.file,
    columns: [...inputs.columns, ...targets.columns.map(renamed)],
    ...(inputs.rows === undefined ? {} : { rows: inputs.rows }),
    async *blocks(options: ReadOptions = {}) {
      const first = inputs.blocks(options);
      const second = targets.blocks({ signal: options.signal });
      let [left, right] = [await next(first), await next(second)];
      let rows = 0;
      try {
        while (left !== undefined && right !== undefined) {
          const count = Math.min(left.rows, right.rows);
          const [inputRows, targetRows] = [sliceRows(left, 0, count), sliceRows(right, 0, count)];
          yield { ...inputRows, columns: [...inputRows.columns, ...targetRows.columns.map(renamed)] };
          rows += count;
          left = left.rows > count ? sliceRows(left, count, left.rows) : await next(first);
          right = right.rows > count ? sliceRows(right, count, right.rows) : await next(second);
        }
        if (left !== undefined) throw differ(`more than ${rows}`, rows);
        if (right !== undefined) throw differ(rows, `more than ${rows}`);
      } finally {
        await Promise.all([first.return(undefined), second.return(undefined)]);
      }
    },
    async close() {
      await Promise.all([inputs.close(), targets.close()]);
    },
  };
}

/**
 * A file under other column names.
 * @throws StorageError `BadSchema` unless there is one for each column
 */
export function renameColumns(reader: DataReader, names: readonly string[]): DataReader {
  if (names.length !== reader.columns.length || new Set(names).size !== names.length)
    throw new StorageError(
      "BadSchema",
      `${reader.file} has ${reader.columns.length} columns, dataset.yaml names ${new Set(names).size} different ones`,
      { hint: "names: [...] has a name of its own for each column" },
    );
  const renamed = <C extends { readonly name: string }>(columns: readonly C[]): C[] =>
    columns.map((column, i) => ({ ...column, name: names[i]! }));
  return {
    ...reader,
    columns: renamed(reader.columns),
    async *blocks(options) {
      for await (const block of reader.blocks(options)) yield { ...block, columns: renamed(block.columns) };
    },
    close: () => reader.close(),
  };
}

const next = async (blocks: AsyncGenerator<RowBlock>): Promise<RowBlock | undefined> => {
  const { value, done } = await blocks.next();
  return done ? undefined : value;
};
