import { StorageError } from "../errors.ts";
import { decodeImage, imageHeader, MAX_SIDE, type ImageShape } from "./image-decoder.ts";
import { openImageFolder, openImageZip, type ImageEntry, type ImageSource } from "./image-folder.ts";
import { assignClasses, type ImageClasses } from "./image-classes.ts";
import type { InputFile, OpenOptions } from "./input.ts";
import type { Column, ColumnInfo, DataReader, ReadOptions, RowBlock } from "./reader.ts";

/** Images that become larger inputs only if that is asked for. */
const SMALL_SIDE = 64;
const DEFAULT_SIDE = 28;
/** Images that are looked at to tell whether all are grey. */
const PROBES = 8;
const BLOCK_BYTES = 2 ** 20;
const MAX_BLOCK_ROWS = 256;
/** Images that are decoded at a time. */
const CONCURRENCY = 2;

/**
 * Opens a folder or a zip archive of PNG and JPEG images, one folder for each class. Columns: `image` (uint8, [height,
 * width] or [height, width, 3]) and, where there are classes, `label`; with folders train, test or validation above
 * the classes, also `split`. Rows are sorted by name.
 * @throws StorageError `UnsupportedFile`, `BadFile`, `TruncatedFile`, `TooLarge`, `UnsafePath`, naming file and entry
 */
export async function openImages(input: InputFile, options: OpenOptions = {}): Promise<DataReader> {
  if (input.packing !== undefined)
    throw new StorageError("UnsupportedFile", `${input.name}: an archive that is compressed as a whole`, {
      hint: "unpack it first: the images are compressed already",
    });
  const open = input.isFolder ? openImageFolder : openImageZip;
  const source = await open(input.path, options.signal);
  try {
    const entries = source.entries.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
    if (entries.length === 0)
      throw new StorageError("BadFile", `${input.name}: there is no PNG or JPEG image in it`, {
        hint: "put the images of each class into a folder of its own: cats/1.png, dogs/1.png",
      });
    const classes = assignClasses(
      input.name,
      entries.map(({ name }) => name),
    );
    const shape = await chooseShape(input.name, entries, options);
    return createImageReader(input, source, entries, classes, shape);
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function chooseShape(
  file: string,
  entries: readonly ImageEntry[],
  { size, channels, signal }: OpenOptions,
): Promise<ImageShape> {
  const valid = (side: number) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE;
  if (size !== undefined && !size.every(valid))
    throw new StorageError("BadSchema", `images of ${size.join(" x ")}: sides are 1 to ${MAX_SIDE} pixels`);
  if (size !== undefined && channels !== undefined) return { height: size[0], width: size[1], channels };
  const headers = [];
  const step = Math.max(1, Math.floor(entries.length / PROBES));
  for (let i = 0; i < entries.length && headers.length < PROBES; i += step) {
    signal?.throwIfAborted();
    const entry = entries[i]!;
    headers.push(await imageHeader(await entry.read(), whereOf(file, entry)));
  }
  const first = headers[0]!;
  const small = first.height <= SMALL_SIDE && first.width <= SMALL_SIDE;
  const [height, width] = size ?? (small ? [first.height, first.width] : [DEFAULT_SIDE, DEFAULT_SIDE]);
  return { height, width, channels: channels ?? (headers.every(({ grey }) => grey) ? 1 : 3) };
}

const whereOf = (file: string, entry: ImageEntry): string => `${file}: ${entry.name}`;

function createImageReader(
  input: InputFile,
  source: ImageSource,
  entries: readonly ImageEntry[],
  { labels, splits, classes, notes }: ImageClasses,
  shape: ImageShape,
): DataReader {
  const { height, width, channels } = shape;
  const pixels = height * width * channels;
  const dimensions = channels === 1 ? [height, width] : [height, width, channels];
  const step = Math.min(MAX_BLOCK_ROWS, Math.max(1, Math.floor(BLOCK_BYTES / pixels)));
  const totalBytes = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const columns: ColumnInfo[] = [
    { name: "image", kind: "tensor", shape: dimensions, dtype: "uint8" },
    ...(labels ? [{ name: "label", kind: "cells" } as const] : []),
    ...(splits ? [{ name: "split", kind: "cells" } as const] : []),
  ];
  async function* blocks({ signal, onProgress }: ReadOptions = {}): AsyncGenerator<RowBlock> {
    let readBytes = 0;
    for (let start = 0; start < entries.length; start += step) {
      const part = entries.slice(start, start + step);
      const values = new Uint8Array(part.length * pixels);
      await eachOf(part, async (entry, row) => {
        signal?.throwIfAborted();
        values.set(await decodeImage(await entry.read(), shape, whereOf(input.name, entry)), row * pixels);
        readBytes += entry.bytes;
        onProgress?.(readBytes, totalBytes);
      });
      const cells = (name: string, all: readonly string[] | undefined): Column[] =>
        all === undefined ? [] : [{ kind: "cells", name, values: all.slice(start, start + part.length) }];
      const image: Column = { kind: "tensor", name: "image", shape: dimensions, values };
      yield {
        rows: part.length,
        columns: [image, ...cells("label", labels), ...cells("split", splits)],
        locate: (row) => `entry ${part[row]!.name}`,
      };
    }
  }
  return {
    format: "images",
    file: input.name,
    columns,
    rows: entries.length,
    ...(classes && { classes }),
    notes: [...notes, ...othersNote(source.others)],
    blocks,
    close: () => source.close(),
  };
}

/** A few at a time, in order of their start; the first error ends it when the others are done. */
async function eachOf<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const index = next++;
      try {
        await work(items[index]!, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: CONCURRENCY }, lane));
  const error = results.find((result) => result.status === "rejected");
  if (error) throw error.reason;
}

function othersNote(others: readonly string[]): string[] {
  if (others.length === 0) return [];
  const names = others.length > 3 ? `${others.slice(0, 3).join(", ")}, ...` : others.join(", ");
  return [`left out, since not PNG or JPEG images: ${others.length} (${names})`];
}
