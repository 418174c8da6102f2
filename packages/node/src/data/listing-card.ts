// The data card of a listing: made from the data, or the seller's own text.
import { InvalidInputError, MAX_CARD_BYTES, parseCard } from "@skynet/protocol";
import { dataCard, inspect, type CardPart, type DatasetFile, type PreparedDataset } from "@skynet/storage";
import { readInputFile } from "../runtime/files.ts";
import { normalisationOf } from "./dataset-file.ts";
import { openDataFiles } from "./open-files.ts";
import { localFile, type DataPlace } from "./prepare.ts";

/** What everybody can read in a card that is made from the data. */
export const CARD_REVEALS =
  "names, sizes and hashes of your files; of the columns that are sold names, ranges, means, missing values and common categories; classes and their balance; problems. No rows";

export interface ListingCardOptions {
  readonly name: string;
  readonly description: string;
  readonly licence: string | undefined;
}

/**
 * Reads the data that are for sale once more and describes them: no row of them is in it.
 * @returns Markdown
 * @throws StorageError of the readers; InvalidInputError `BadCard` when it would be too long
 */
export async function makeListingCard(
  dataset: DatasetFile,
  prepared: Pick<PreparedDataset, "schema" | "files" | "rows">,
  { name, description, licence }: ListingCardOptions,
  place: DataPlace,
): Promise<Uint8Array> {
  const { train, image, format, skip, header, names } = dataset;
  const { ui, signal } = place;
  const open = { format, skip, header, arrays: train.arrays, ...image, signal };
  const fetch = (reference: string) => localFile(reference, place);
  const { reader } = await openDataFiles(train.inputs, train.targets, { open, names, fetch });
  try {
    const found = await inspect(reader, {
      target: prepared.schema.target.name,
      samples: 0,
      normalise: normalisationOf(dataset),
      signal,
      onProgress: (done, total) => ui.progress("Describing the data", done, total),
    });
    const isSold = soldColumns(prepared);
    const shown = {
      ...found,
      columns: found.columns.filter((column) => isSold(column.name)),
      problems: found.problems.filter(({ column }) => column === undefined || isSold(column)),
    };
    const parts: readonly CardPart[] = ["train", "labels"];
    const sources = prepared.files.map((file, i) => ({
      ...file,
      ...(prepared.files.length > 1 && { part: parts[i]! }),
    }));
    const sold = { schema: prepared.schema, samples: prepared.rows.train };
    return cardBytes(dataCard(shown, { name, description, licence, sources, sold }));
  } finally {
    await reader.close();
  }
}

/** Columns that are left out of the data are left out of the card. */
function soldColumns({ schema }: Pick<PreparedDataset, "schema">): (name: string) => boolean {
  const names = new Set([schema.target.name, ...schema.inputs.map(({ name }) => name)]);
  return (name) => names.has(name);
}

/** A seller's own card. @throws FileError `FileNotFound`; InvalidInputError `BadCard` */
export async function readListingCard(file: string): Promise<Uint8Array> {
  return cardBytes(parseCard(await readInputFile(file, "the data card")));
}

function cardBytes(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MAX_CARD_BYTES) return bytes;
  throw new InvalidInputError(
    "BadCard",
    `the data card has ${bytes.length} bytes, at most ${MAX_CARD_BYTES} are published`,
    {
      hint: "write a shorter one and name it with --card FILE, or leave it out with --no-card",
    },
  );
}
