import type { Cell } from "../readers/reader.ts";

/** FNV-1a of the UTF-16 code units, 32 bits (Fowler, Noll, Vo). */
function fnv1a(word: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Sets the input of each word of a text to 1 (the hashing trick, Weinberger et al. 2009): `out` is rows x size. */
export function hashWords(cell: Cell, out: Uint8Array, row: number, size: number): void {
  if (cell === null) return;
  for (const word of String(cell)
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? [])
    out[row * size + (fnv1a(word) % size)] = 1;
}
