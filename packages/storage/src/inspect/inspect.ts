import type { Cell, ColumnInfo, DataFormat, DataReader, ReadOptions, RowBlock } from "../readers/reader.ts";
import { StorageError } from "../errors.ts";
import { INFER_ROWS, type ColumnChoices } from "../prepare/columns.ts";
import type { NormalisationChoice } from "../schema/dataset-file.ts";
import type { SheetSample } from "./contact-sheet.ts";
import { limitsFor } from "./distinct.ts";
import { fixedPointOf, type FixedPoint } from "./fixed-point.ts";
import { splitColumn } from "../prepare/split-column.ts";
import { jobView, type JobView } from "./job-view.ts";
import { HashSample } from "./hash-sample.ts";
import {
  columnProblems,
  duplicatesProblem,
  imbalanceProblem,
  leakProblem,
  splitProblem,
  type Problem,
} from "./problems.ts";
import { RowHasher } from "./row-hash.ts";
import { compareNames, Reservoir, sampleRow, SheetSamples, type SampleRow } from "./samples.ts";
import { createStatistics, type ColumnStatistics, type Statistics } from "./statistics.ts";
import { findTarget, LeakWatch, valueAt } from "./target.ts";

export interface InspectOptions extends ReadOptions {
  /** Column of the classes; by default the one with a usual name, else the last one. */
  readonly target?: string | undefined;
  /** Test data with the same columns, to find its rows in the training data. */
  readonly test?: DataReader | undefined;
  /** As `onProgress`, of the test data. */
  readonly onTestProgress?: ReadOptions["onProgress"];
  /** Rows to show; 5 unless given. */
  readonly samples?: number | undefined;
  /** How dataset.yaml has a column normalised. */
  readonly normalise?: ((column: string) => NormalisationChoice | undefined) | undefined;
  /** What dataset.yaml says of the columns. */
  readonly choices?: ColumnChoices | undefined;
  /** The columns behind so many come from the file of the targets; all are the data's own unless given. */
  readonly inputColumns?: number | undefined;
  /** Rows whose hashes are kept to find duplicates; 2 million unless given. */
  readonly maxHashes?: number | undefined;
}

export interface ColumnReport extends ColumnStatistics {
  /** How its numbers become inputs. */
  readonly fixedPoint?: FixedPoint;
}

export interface Inspection {
  readonly file: string;
  readonly format: DataFormat;
  readonly rows: number;
  readonly columns: readonly ColumnReport[];
  /** Name of the column of the classes, how often each of them occurs. */
  readonly target?: { readonly name: string; readonly classes: readonly { value: Cell; count: number }[] };
  /** Rows of each part, where a column `split` says it or a test file was given. */
  readonly splits: Readonly<Record<string, number>>;
  readonly samples: readonly SampleRow[];
  /** For {@link contactSheet}; empty without images. */
  readonly images: readonly SheetSample[];
  readonly problems: readonly Problem[];
  /** Rows whose equality was looked at: 1 for all of them, else a part that is chosen by hashes. */
  readonly comparedShare: number;
  readonly notes: readonly string[];
  /** What a job would make of it. */
  readonly job: JobView;
}

/**
 * Reads all rows once and reports what they hold and what is wrong with them. Memory stays below some 200 MiB, whatever
 * the size of the file.
 * @throws StorageError of the reader; `BadSchema` for a target that is not there or test data with other columns
 */
export async function inspect(reader: DataReader, options: InspectOptions = {}): Promise<Inspection> {
  const { columns } = reader;
  const blocks = reader.blocks(options);
  const first = await blocks.next();
  const head = first.done === true ? [] : [first.value];
  const work = new Work(columns, findTarget(columns, head, options.target), options);
  for (const block of head) work.add(block);
  for await (const block of blocks) work.add(block);
  if (options.test !== undefined)
    await work.addTest(options.test, { signal: options.signal, onProgress: options.onTestProgress });
  return work.report(reader);
}

class Work {
  readonly #columns: readonly ColumnInfo[];
  readonly #target: number | undefined;
  readonly #split: number;
  readonly #statistics: Statistics;
  /** Of the rows from which the import infers types. */
  readonly #first: Statistics;
  readonly #options: InspectOptions;
  readonly #leaks: (LeakWatch | undefined)[];
  readonly #sheet: SheetSamples | undefined;
  readonly #samples: Reservoir<SampleRow>;
  readonly #rowHasher: RowHasher;
  readonly #inputHasher: RowHasher;
  readonly #all: HashSample;
  readonly #training: HashSample;
  readonly #held: HashSample;
  readonly #splits: Record<string, number> = {};
  readonly #keepsInputs: boolean;
  readonly #normalise: InspectOptions["normalise"];
  readonly #problems: Problem[] = [];
  #rows = 0;

  constructor(columns: readonly ColumnInfo[], target: number | undefined, options: InspectOptions) {
    this.#columns = columns;
    this.#target = target;
    this.#split = columns.findIndex(({ name, kind }) => name === "split" && kind === "cells");
    this.#statistics = createStatistics(columns, { target });
    this.#first = createStatistics(columns, { target });
    this.#options = options;
    const watched = limitsFor(columns.length).counted;
    const plain = ({ kind, shape }: ColumnInfo) => kind === "cells" || shape?.length === 0;
    this.#leaks = columns.map((column, i) =>
      target === undefined || i === target || i === this.#split || !plain(column) ? undefined : new LeakWatch(watched),
    );
    this.#sheet = SheetSamples.of(columns, target);
    this.#samples = new Reservoir(options.samples ?? 5);
    const all = columns.map((_, i) => i);
    this.#rowHasher = new RowHasher(all.filter((i) => i !== this.#split));
    this.#inputHasher = new RowHasher(all.filter((i) => i !== target && i !== this.#split));
    const hashes = () => new HashSample(options.maxHashes);
    [this.#all, this.#training, this.#held] = [hashes(), hashes(), hashes()];
    this.#normalise = options.normalise;
    this.#keepsInputs = options.test !== undefined || this.#split >= 0;
  }

  add(block: RowBlock): void {
    const { rows, columns } = block;
    this.#statistics.add(block);
    if (this.#rows < INFER_ROWS) this.#first.add(block);
    this.#sheet?.add(block);
    const target = this.#target === undefined ? undefined : columns[this.#target]!;
    this.#leaks.forEach((watch, i) => watch?.add(columns[i]!, target!, rows));
    for (let row = 0; row < rows; row++) {
      this.#samples.offer(() => sampleRow(block, row));
      this.#all.add(this.#rowHasher.hash(block, row));
      if (!this.#keepsInputs) continue;
      const split = this.#split < 0 ? "train" : String(valueAt(columns[this.#split]!, row));
      this.#splits[split] = (this.#splits[split] ?? 0) + 1;
      const part = /^train/i.test(split) ? this.#training : this.#held;
      part.add(this.#inputHasher.hash(block, row));
    }
    this.#rows += rows;
  }

  async addTest(test: DataReader, options: ReadOptions): Promise<void> {
    const names = (columns: readonly ColumnInfo[]) => columns.map(({ name }) => name).join(", ");
    if (test.columns.length !== this.#columns.length)
      throw new StorageError(
        "BadSchema",
        `${test.file} has other columns than the training data: ${names(test.columns)} instead of ${names(this.#columns)}`,
        { hint: "training and test data have the same columns in the same order" },
      );
    let [rows, looked, common] = [0, 0, 0];
    for await (const block of test.blocks(options)) {
      for (let row = 0; row < block.rows; row++) {
        const known = this.#training.has(this.#inputHasher.hash(block, row));
        if (known === undefined) continue;
        looked++;
        if (known) common++;
      }
      rows += block.rows;
    }
    this.#splits.test = rows;
    // The part that was looked at is not exactly the share.
    const share = this.#training.share;
    const problem = splitProblem(
      share === 1 ? common : (common / looked) * rows * share,
      share,
      `of ${rows.toLocaleString("en")} test rows`,
    );
    if (problem) this.#problems.push(problem);
  }

  report(reader: DataReader): Inspection {
    const columns = this.#statistics.result();
    const target = this.#target === undefined ? undefined : columns[this.#target]!;
    const images = this.#sheet?.result() ?? [];
    const classes = target?.values.toSorted((a, b) => compareNames(String(a.value), String(b.value)));
    return {
      file: reader.file,
      format: reader.format,
      rows: this.#rows,
      columns: columns.map((column) => {
        const fixedPoint = column === target ? undefined : fixedPointOf(column, this.#normalise?.(column.name));
        return { ...column, ...(fixedPoint && { fixedPoint }) };
      }),
      ...(target && classes && { target: { name: target.name, classes } }),
      splits: this.#splits,
      samples: this.#samples.items,
      images,
      problems: [...this.#findProblems(columns, target)],
      comparedShare: this.#all.share,
      notes: reader.notes ?? [],
      job: jobView({
        infos: this.#columns,
        first: this.#first.result(),
        all: columns,
        choices: { columns: undefined, normalise: undefined, ...this.#options.choices, target: target?.name },
        inputColumns: this.#options.inputColumns ?? columns.length,
        splitAt: splitColumn(reader, this.#options.choices),
      }),
    };
  }

  *#findProblems(columns: readonly ColumnStatistics[], target: ColumnStatistics | undefined): Generator<Problem> {
    for (const column of columns) yield* columnProblems(column, column === target);
    if (target === undefined)
      yield { kind: "no-target", message: "no column looks like classes: say which one with the name of the target" };
    else {
      const imbalance = imbalanceProblem(target.name, target.values);
      if (imbalance) yield imbalance;
      for (const [i, watch] of this.#leaks.entries()) {
        const leak = watch && leakProblem(columns[i]!, target, watch);
        if (leak) yield leak;
      }
    }
    const duplicates = duplicatesProblem(this.#all.repeats, this.#all.share, this.#rows);
    if (duplicates) yield duplicates;
    if (this.#split >= 0) {
      const share = Math.min(this.#training.share, this.#held.share);
      const common = this.#held.common(this.#training);
      const split = splitProblem(common, share, "different test and validation rows");
      if (split) yield split;
    }
    yield* this.#problems;
  }
}
