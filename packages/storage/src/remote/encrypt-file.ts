import fs from "node:fs";
import { Readable } from "node:stream";
import { Decrypter, Encrypter } from "age-encryption";
import { writeWhole } from "../disk/durable-file.ts";
import { reasonOf, StorageError, storeError } from "../errors.ts";

export interface CryptOptions {
  readonly onProgress?: (doneBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Encrypts a file to age recipients, in a stream. The target appears when it is complete and on the disk.
 * @throws StorageError `BadKey`, `FileNotFound`, `DiskFull`, `StoreFailed`
 */
export async function encryptFile(
  source: string,
  target: string,
  { recipients, onProgress, signal }: CryptOptions & { readonly recipients: readonly string[] },
): Promise<void> {
  const encrypter = new Encrypter();
  try {
    for (const recipient of recipients) encrypter.addRecipient(recipient);
  } catch (cause) {
    throw new StorageError("BadKey", `not an age recipient: ${reasonOf(cause)}`, {
      cause,
      hint: "it starts with age1",
    });
  }
  const sealed = await encrypter.encrypt(readStream(source, onProgress));
  await writeStream(target, sealed, signal, (cause) => storeError(cause, source));
}

/**
 * Decrypts a file of the age format, in a stream. The target appears when all of it was found to be genuine.
 * @throws StorageError `BadKey`, `CannotDecrypt`, `DiskFull`, `StoreFailed`
 */
export async function decryptFile(
  source: string,
  target: string,
  { identity, onProgress, signal }: CryptOptions & { readonly identity: string },
): Promise<void> {
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(identity);
  } catch (cause) {
    throw new StorageError("BadKey", "not an age identity", { cause, hint: "it starts with AGE-SECRET-KEY-1" });
  }
  const failed = (cause: unknown) =>
    new StorageError("CannotDecrypt", `the file does not open: ${reasonOf(cause)}`, {
      cause,
      hint: "it was encrypted for another key (--keystore takes an old one), or it was changed",
    });
  const plain = await decrypter.decrypt(readStream(source, onProgress)).catch((cause: unknown) => {
    throw failed(cause);
  });
  await writeStream(target, plain, signal, failed);
}

function readStream(file: string, onProgress: ((doneBytes: number) => void) | undefined): ReadableStream<Uint8Array> {
  let done = 0;
  const bytes = Readable.toWeb(fs.createReadStream(file, { highWaterMark: 1 << 20 })) as ReadableStream<Uint8Array>;
  return bytes.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk);
        done += chunk.length;
        onProgress?.(done);
      },
    }),
  );
}

async function writeStream(
  target: string,
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
  readFailed: (cause: unknown) => StorageError,
): Promise<void> {
  const reader = stream.getReader();
  const fill = async (write: (bytes: Uint8Array) => Promise<void>) => {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read().catch((cause: unknown) => {
        signal?.throwIfAborted();
        throw readFailed(cause);
      });
      if (done) return;
      await write(value);
    }
  };
  try {
    await writeWhole(target, fill, { overwrite: true, mode: 0o600, temporary: `${target}.partial` });
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
