import { SkyNetError } from "@skynet/protocol";

/** Stable codes of everything that this package raises on purpose. */
export type StorageErrorCode =
  | "DiskFull" // no space left where blocks are kept
  | "QuotaExceeded" // the block store, or the account at a storage service, has as much as it may have
  | "StoreFailed" // the block store cannot be read or written
  | "CorruptBlock" // a stored or fetched block does not have the hash of its CID
  | "BlockMissing" // nobody has the block
  | "FileNotFound"
  | "CannotDecrypt" // encrypted for somebody else, or changed
  | "BadKey" // not an age recipient or identity
  | "BadDataset" // images, labels and sizes do not fit together
  | "BadManifest" // the manifest does not parse or does not have the expected root
  | "BadBatch" // a batch does not have the leaf that the manifest commits to
  | "BadFile" // malformed data; the message names the file and the line, row or entry
  | "TruncatedFile" // the file, or what is compressed in it, ends too early
  | "UnsupportedFile" // a format, compression or type of values that is not read here
  | "TooLarge" // more than a limit allows: a bomb, or data beyond what this machine takes
  | "UnsafePath" // an archive's entry that points outside of it
  | "PrivateAddress" // a URL that leads to this machine or a private network
  | "DownloadFailed"
  | "BadSchema" // dataset.yaml is malformed, or does not fit the data
  | "UploadFailed" // the storage service did not take it
  | "BadAnswer" // the storage service answered something else than it should
  | "NoApiKey" // no key of the storage service is known
  | "WrongApiKey" // the storage service does not know the key, or does not let it do this
  | "ServiceFailed" // the storage service did not do what was asked, and nothing better is known
  | "RemoteMissing" // the storage service or no gateway has it
  | "PinFailed" // the pinning service gave up
  | "FileChanged" // the file is another one than when the upload began
  | "FileExists"; // there is a file of that name already

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

/** What failed on the disk, or in SQLite, for people. @param place file or folder */
export function storeError(cause: unknown, place: string): StorageError {
  if (cause instanceof StorageError) return cause;
  const reason = reasonOf(cause);
  if (/ENOSPC|EDQUOT|disk is full/.test(reason))
    return new StorageError("DiskFull", `no space left on the disk for ${place}`, {
      cause,
      hint: "free some space, or choose a directory on another disk; then run the same command again",
    });
  return new StorageError("StoreFailed", `${place} cannot be read or written: ${reason}`, {
    cause,
    hint: "check that it can be read and written",
  });
}
