import { keccak256, word } from "./bytes.ts";
import { InvalidInputError } from "./errors.ts";

const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);
const EMPTY = keccak256(new Uint8Array([2]));

const leafHash = (leaf: Uint8Array) => keccak256(LEAF, leaf);
const nodeHash = (left: Uint8Array, right: Uint8Array) => keccak256(NODE, left, right);

/** Levels between the leaves and the top node for `count` leaves: ceil(log2(count)). */
export function merkleDepth(count: number): number {
  return count <= 1 ? 0 : 32 - Math.clz32(count - 1);
}

/** All levels, leaves first. The leaves are padded to a power of two with the hash of "empty". */
function levels(leaves: readonly Uint8Array[]): Uint8Array[][] {
  const width = 2 ** merkleDepth(leaves.length);
  let level = Array.from({ length: width }, (_, i) => (i < leaves.length ? leafHash(leaves[i]!) : EMPTY));
  const all = [level];
  while (level.length > 1) {
    const below = level;
    level = Array.from({ length: below.length / 2 }, (_, i) => nodeHash(below[2 * i]!, below[2 * i + 1]!));
    all.push(level);
  }
  return all;
}

/**
 * Root of an index-directed Merkle tree of 32-byte leaves: leaves and nodes are tagged, the order of children follows
 * the index, and the number of leaves is bound: keccak256(word(count), top). No leaves: 32 zero bytes.
 */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return new Uint8Array(32);
  return keccak256(word(leaves.length), levels(leaves).at(-1)![0]!);
}

/** Siblings of leaf `index` from the bottom to the top. */
export function merklePath(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length)
    throw new InvalidInputError("BadIndex", `no leaf ${index} among ${leaves.length}`);
  return levels(leaves)
    .slice(0, -1)
    .map((level, height) => level[(index >> height) ^ 1]!);
}

/** Root that `leaf` at `index` of `count` leaves has with this path; compare it with the known root. */
export function merkleRootFromPath(
  leaf: Uint8Array,
  index: number,
  count: number,
  path: readonly Uint8Array[],
): Uint8Array {
  if (index < 0 || index >= count || path.length !== merkleDepth(count))
    throw new InvalidInputError("BadPath", "the Merkle path does not fit the number of leaves");
  let hash = leafHash(leaf);
  path.forEach((sibling, height) => {
    hash = (index >> height) & 1 ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  });
  return keccak256(word(count), hash);
}
