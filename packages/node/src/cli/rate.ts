import { InvalidArgumentError } from "commander";

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  kbit: 125,
  Mbit: 125_000,
  Gbit: 125_000_000,
};
const SIZES: Readonly<Record<string, number>> = {
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
/** Less does not hold what a single job needs. */
const LEAST_SPACE = 64e6;
/** Less would look like a node that has gone. */
const LEAST = 4096;

/** Parser of options that are rates, such as 5MB or 20Mbit (each per second). @returns bytes per second */
export function rate(text: string): number {
  const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?) ?([kMG]?(?:B|bit))(?:\/s)?$/i.exec(text) ?? [];
  const known = Object.keys(UNITS).find((name) => name.toLowerCase() === unit?.toLowerCase());
  const bytesPerSecond = known === undefined ? 0 : Math.round(Number(number) * UNITS[known]!);
  if (bytesPerSecond < LEAST)
    throw new InvalidArgumentError("a rate of at least 4kB is needed, such as 500kB, 5MB or 20Mbit (per second)");
  return bytesPerSecond;
}

/** Parser of options that are disk space, such as 50GB, 20GiB or unlimited. @returns bytes, or Infinity */
export function byteSize(text: string): number {
  if (text.toLowerCase() === "unlimited") return Infinity;
  const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?) ?([MGT]i?B)$/i.exec(text) ?? [];
  const known = Object.keys(SIZES).find((name) => name.toLowerCase() === unit?.toLowerCase());
  const bytes = known === undefined ? 0 : Math.round(Number(number) * SIZES[known]!);
  if (bytes < LEAST_SPACE)
    throw new InvalidArgumentError("a size of at least 64MB is needed, such as 500MB, 20GiB, or unlimited");
  return bytes;
}
