import fs from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { Decrypter, Encrypter } from "age-encryption";
import { reasonOf, StorageError } from "../errors.ts";
import { diskError } from "./durable-file.ts";

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
  await writeStream(target, await encrypter.encrypt(readStream(source, onProgress)), signal);
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
  readFailed: (cause: unknown) => StorageError = (cause) => diskError(cause, target),
): Promise<void> {
  const temporary = `${target}.partial`;
  const reader = stream.getReader();
  try {
    const handle = await open(temporary, "w", 0o600);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const { done, value } = await reader.read().catch((cause: unknown) => {
          throw readFailed(cause);
        });
        if (done) break;
        await handle.appendFile(value);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    await rm(temporary, { force: true });
    signal?.throwIfAborted();
    throw diskError(error, target);
  }
}
