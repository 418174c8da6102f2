import { decode, digestOfCid, encode, equalBytes, fromHex, merkleRoot, toHex, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { StorageError } from "./errors.ts";

const MAX_BATCHES = 65_536;

const hash = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === 32, "not 32 bytes");
const cid = z.string().refine((text) => {
  try {
    return digestOfCid(text).length === 32;
  } catch {
    return false;
  }
}, "not a CID");

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
  })
  .refine(({ leaves, cids }) => leaves.length === cids.length, "as many CIDs as leaves")
  .refine(({ leaves, root }) => equalBytes(merkleRoot(leaves), root), "the root is not that of the leaves");

/**
 * What a dataset consists of. `leaves`: identity of each batch; `cids`: where its encrypted bytes are; `root`: Merkle
 * root of the leaves, the identity of the dataset; `scale`: fraction bits of the inputs.
 */
export type Manifest = z.infer<typeof manifestSchema>;

export function encodeManifest(manifest: Manifest): Uint8Array {
  return encode(manifest);
}

/** @throws StorageError `BadManifest` unless it parses and its leaves have the expected root */
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
