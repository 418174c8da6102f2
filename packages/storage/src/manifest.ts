import {
  committedId,
  decode,
  digestOfCid,
  encode,
  equalBytes,
  fromHex,
  merkleRoot,
  toHex,
  type Hex,
} from "@skynet/protocol";
import { z } from "zod";
import { StorageError } from "./errors.ts";

export const MAX_BATCHES = 262_144;

const hash = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === 32, "not 32 bytes");
const cid = z.string().refine((text) => {
  try {
    return digestOfCid(text).length === 32;
  } catch {
    return false;
  }
}, "not a CID");

const points = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length > 0 && value.length % 64 === 0,
  "not points of 64 bytes",
);

const commitmentsSchema = z.strictObject({ tag: hash, points: z.array(points).min(1).max(MAX_BATCHES) });

/** Points of each batch, 64 bytes each, and the tag under which they are hashed: leaf = keccak256(tag, points). */
export type BatchCommitments = z.infer<typeof commitmentsSchema>;

const manifestSchema = z
  .strictObject({
    version: z.literal(1),
    name: z.string().min(1).max(128),
    batchSize: z.int().min(1).max(65_536),
    features: z.int().min(1).max(1_048_576),
    classes: z.int().min(2).max(256),
    scale: z.int().min(0).max(7),
    leaves: z.array(hash).min(1).max(MAX_BATCHES),
    cids: z.array(cid).min(1).max(MAX_BATCHES),
    root: hash,
    /** Only of jobs that are proven. */
    commitments: commitmentsSchema.optional(),
  })
  .refine(({ leaves, cids }) => leaves.length === cids.length, "as many CIDs as leaves")
  .refine(
    ({ leaves, commitments }) => commitments === undefined || haveLeaves(commitments, leaves),
    "the points do not have the leaves",
  )
  .refine(({ leaves, root }) => equalBytes(merkleRoot(leaves), root), "the root is not that of the leaves");

/** Leaves of the batches behind these commitments. */
export function committedLeaves({ tag, points: list }: BatchCommitments): Uint8Array[] {
  return list.map((batch) => fromHex(committedId(toHex(tag), batch)));
}

function haveLeaves(commitments: BatchCommitments, leaves: readonly Uint8Array[]): boolean {
  const found = committedLeaves(commitments);
  return found.length === leaves.length && found.every((leaf, i) => equalBytes(leaf, leaves[i]!));
}

/**
 * What a dataset consists of. `leaves`: identity of each batch (of its plaintext, or of its commitments); `cids`: where its encrypted bytes are; `root`: Merkle
 * root of the leaves, the identity of the dataset; `scale`: fraction bits of the inputs.
 */
export type Manifest = z.infer<typeof manifestSchema>;

export function encodeManifest(manifest: Manifest): Uint8Array {
  return encode(manifest);
}

/** @throws StorageError `BadManifest` unless it parses, its points have its leaves, and these the expected root */
export function parseManifest(bytes: Uint8Array, expectedRoot: Hex): Manifest {
  let manifest: Manifest;
  try {
    manifest = manifestSchema.parse(decode(bytes));
  } catch (cause) {
    throw new StorageError("BadManifest", "not a manifest of a dataset", { cause });
  }
  if (!equalBytes(manifest.root, fromHex(expectedRoot)))
    throw new StorageError("BadManifest", `the manifest has the root ${toHex(manifest.root)}, not ${expectedRoot}`, {
      hint: "it describes another dataset than the job names",
    });
  return manifest;
}
