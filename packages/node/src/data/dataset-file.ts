// What a dataset consists of: a dataset.yaml, or a file of data whose columns explain themselves.
import path from "node:path";
import { InvalidInputError } from "@skynet/protocol";
import { datasetFileSchema, isCid, type DatasetFile, type InspectOptions } from "@skynet/storage";
import { readInputFile } from "../runtime/files.ts";
import { parseYaml } from "../yaml-file.ts";

const isYaml = (reference: string): boolean => /\.ya?ml$/i.test(reference);
const isElsewhere = (reference: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(reference) || isCid(reference);

/** A path that is relative to a folder; URLs and CIDs stay as they are. */
export const referenceFrom = (folder: string, reference: string): string =>
  isElsewhere(reference) ? reference : path.resolve(folder, reference);

/** File names relative to the folder become absolute. */
export function withFolder(dataset: DatasetFile, folder: string): DatasetFile {
  const absolute = ({ inputs, targets, arrays }: DatasetFile["train"]) => ({
    arrays,
    inputs: referenceFrom(folder, inputs),
    targets: targets === undefined ? undefined : referenceFrom(folder, targets),
  });
  return { ...dataset, train: absolute(dataset.train), test: dataset.test && absolute(dataset.test) };
}

function parseDataset(file: string, text: string): DatasetFile {
  const parsed = parseYaml(text, datasetFileSchema);
  if (parsed.ok) return parsed.value;
  throw new InvalidInputError("BadDatasetFile", `${file}:\n${parsed.problems.map((it) => `  - ${it}`).join("\n")}`, {
    hint: "see examples/iris/dataset.yaml and docs/data.md",
  });
}

/**
 * The dataset that a name stands for: a dataset.yaml, or a file, URL or CID of data, about which everything is inferred.
 * @param targets file of the classes, where they are in one of their own
 * @throws FileError `FileNotFound`; InvalidInputError `BadDatasetFile` that names every wrong key
 */
export async function readDatasetFile(reference: string, targets?: string): Promise<DatasetFile> {
  if (!isYaml(reference)) {
    const train = targets === undefined ? reference : { inputs: reference, targets };
    return withFolder(datasetFileSchema.parse({ train }), process.cwd());
  }
  if (targets !== undefined)
    throw new InvalidInputError("BadOption", "a dataset.yaml names its targets itself", {
      hint: "leave --targets out",
    });
  const text = new TextDecoder().decode(await readInputFile(reference, "the dataset file"));
  return withFolder(parseDataset(reference, text), path.dirname(path.resolve(reference)));
}

/** How a dataset.yaml has a column normalised. */
export const normalisationOf =
  ({ columns, normalise }: DatasetFile): NonNullable<InspectOptions["normalise"]> =>
  (name) => {
    const column = columns?.[name];
    return (column !== undefined && "normalise" in column ? column.normalise : undefined) ?? normalise;
  };

/** A name for people where the dataset has none. */
export function nameOf({ name, train }: DatasetFile): string {
  const base = train.inputs
    .split(/[\\/]/)
    .at(-1)!
    .replace(/[?#].*$/, "");
  return (
    (name ?? base.replace(/(\.(gz|zst))?$/, "").replace(/(\.[a-z]+|-idx\d-ubyte)$/, "")).slice(0, 100) || "dataset"
  );
}
