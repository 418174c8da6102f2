import { StorageError } from "../errors.ts";
import { FORMATS, type FormatEntry } from "./formats.ts";
import { openInput, type InputFile, type OpenOptions } from "./input.ts";
import type { DataFormat, DataReader } from "./reader.ts";

/**
 * Opens a file or folder of data on this machine. The format is told by the content, then by the name (behind it .gz or
 * .zst), or is given.
 * @throws StorageError `FileNotFound`, `UnsupportedFile` with the formats that are read, and what the format's reader
 * raises about malformed data: `BadFile`, `TruncatedFile`, `TooLarge`, `UnsafePath`
 */
export async function openReader(file: string, options: OpenOptions = {}): Promise<DataReader> {
  const input = await openInput(file, options);
  const format = options.format ?? formatOf(input);
  const entry = FORMATS[format];
  if (entry === undefined) throw unsupported(`${input.name}: there is no format ${format}`);
  if (input.isFolder && !entry.folders) throw unsupported(`${input.name} is a folder, which ${entry.title} is not`);
  return entry.open(input, { ...options, format });
}

function formatOf(input: InputFile): DataFormat {
  const entries = Object.entries(FORMATS) as [DataFormat, FormatEntry][];
  const named = ([, { extensions }]: [DataFormat, FormatEntry]) => extensions.includes(input.extension);
  const fits = input.isFolder
    ? entries.filter(([, { folders }]) => folders)
    : entries.filter(([, { begins }]) => begins?.(input.head));
  const chosen = fits.find(named) ?? fits[0] ?? entries.find((entry) => !input.isFolder && named(entry));
  if (chosen !== undefined) return chosen[0];
  throw unsupported(`${input.name}: its format is not known from its content or name`);
}

function unsupported(message: string): StorageError {
  const list = (Object.values(FORMATS) as FormatEntry[]).map(({ title, extensions, folders }) => {
    const names = folders ? ["a folder", ...extensions] : extensions;
    return `${title} (${names.join(", ")})`;
  });
  return new StorageError("UnsupportedFile", message, {
    hint: `what is read: ${list.join(", ")}, also with .gz or .zst behind; if the name does not tell, say it: --format csv, or format: csv in dataset.yaml`,
  });
}
