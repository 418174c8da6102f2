import { SkyNetError } from "@skynet/protocol";

/** Stable codes of everything that this package raises on purpose. */
export type StorageErrorCode =
  | "DiskFull" // no space left where blocks are kept
  | "StoreFailed" // the block store cannot be read or written
  | "CorruptBlock" // a stored or fetched block does not have the hash of its CID
  | "BlockMissing" // nobody has the block
  | "FileNotFound"
  | "TruncatedIdx" // the file ends before its last element
  | "BadIdx" // not an IDX file, or not of the kind that is read here
  | "CannotDecrypt" // encrypted for somebody else, or changed
  | "BadKey" // not an age recipient or identity
  | "BadDataset" // images, labels and sizes do not fit together
  | "BadManifest" // the manifest does not parse or does not have the expected root
  | "BadBatch"; // a batch does not have the leaf that the manifest commits to

/** An error of the storage, told apart by `code`. */
export class StorageError extends SkyNetError {
  declare readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(code, message, options);
  }
}

/** Text of anything that was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
