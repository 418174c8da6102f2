import { formatUnits } from "viem";

/** Decimal amount of a token with its symbol. */
export function formatAmount(value: bigint, token: { decimals: number; symbol: string }): string {
  return `${formatUnits(value, token.decimals)} ${token.symbol}`;
}

/** Bytes in the largest fitting decimal unit. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Share of correct answers. */
export const formatAccuracy = (accuracy: number | undefined): string =>
  accuracy === undefined ? "unknown" : `${(100 * accuracy).toFixed(2)} %`;

/** Mean cross-entropy, nats. */
export const formatLoss = (loss: number | undefined): string => (loss === undefined ? "unknown" : loss.toFixed(4));

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export const shortId = (hex: string): string => `${hex.slice(0, 10)}…${hex.slice(-4)}`;

/** A CID for people. */
export const shortCid = (cid: string): string => `${cid.slice(0, 8)}…${cid.slice(-4)}`;

/** Whether a text means an id: the whole id, its first digits, or the short form that lists show. */
export function isId(id: string, text: string): boolean {
  const [head = "", tail = "", ...more] = text.toLowerCase().split("…");
  return (
    /^0x[0-9a-f]+$/.test(head) &&
    /^[0-9a-f]*$/.test(tail) &&
    more.length === 0 &&
    id.startsWith(head) &&
    id.endsWith(tail)
  );
}

/** Gas in thousands or millions. */
export function formatGas(gas: number | bigint): string {
  const value = Number(gas);
  return value < 999_500 ? `${Math.round(value / 1000)} k` : `${(value / 1e6).toFixed(2)} M`;
}
