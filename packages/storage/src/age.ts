import { bech32 } from "@scure/base";
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { reasonOf, StorageError } from "./errors.ts";

/** A key pair of the age format: whoever has the identity reads what was encrypted to the recipient. */
export interface DataKey {
  /** Secret, `AGE-SECRET-KEY-1...` */
  readonly identity: string;
  /** Public, `age1...` */
  readonly recipient: string;
}

export async function generateDataKey(): Promise<DataKey> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/**
 * The key pair behind 32 secret bytes, for keys that must be exactly that long on their way.
 * @throws StorageError `BadKey`
 */
export async function dataKeyOf(secret: Uint8Array): Promise<DataKey> {
  if (secret.length !== 32) throw new StorageError("BadKey", `a secret of 32 bytes is needed, not ${secret.length}`);
  const identity = bech32.encodeFromBytes("AGE-SECRET-KEY-", secret).toUpperCase();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** Encrypts to one or several age recipients. @throws StorageError `BadKey` */
export async function encryptBlock(bytes: Uint8Array, recipients: readonly string[]): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  if (recipients.length === 0) throw new StorageError("BadKey", "encryption needs at least one recipient");
  try {
    for (const recipient of recipients) encrypter.addRecipient(recipient);
  } catch (cause) {
    throw new StorageError("BadKey", `not an age recipient: ${reasonOf(cause)}`, {
      cause,
      hint: "it starts with age1",
    });
  }
  return encrypter.encrypt(bytes);
}

/** @throws StorageError `BadKey`; `CannotDecrypt` when it was encrypted for somebody else or changed */
export async function decryptBlock(bytes: Uint8Array, identity: string): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(identity);
  } catch (cause) {
    throw new StorageError("BadKey", "not an age identity", { cause, hint: "it starts with AGE-SECRET-KEY-1" });
  }
  try {
    return await decrypter.decrypt(bytes);
  } catch (cause) {
    throw new StorageError("CannotDecrypt", `the block does not open: ${reasonOf(cause)}`, {
      cause,
      hint: "it was encrypted for another key, or it was changed",
    });
  }
}
