import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { createIdentity } from "@skynet/network";
import type { Hex } from "@skynet/protocol";
import { explainFileError } from "../runtime/files.ts";
import { WalletError } from "./errors.ts";
import { keystoreAddress, openKeystore, replaceKeystore } from "./keystore.ts";

export interface Rotated {
  readonly address: Hex;
  readonly peerId: string;
  /** The old keystore, still encrypted with its passphrase. */
  readonly backup: string;
}

interface RotateOptions {
  readonly keystore: string;
  /** Of the old key; the new one gets the same unless another is given. */
  readonly passphrase: string;
  readonly newPassphrase?: string;
  /** Milliseconds since the epoch, for the name of the backup. */
  readonly nowMs: number;
}

/**
 * Puts a new random key into a keystore's place. The old one stays beside it, encrypted as it was, under a name with its
 * address and the date. A crash leaves the old key in place.
 * @throws WalletError `WrongPassphrase`, `WalletNotFound`, `WalletExists` when the backup's name is taken
 */
export async function rotateKeystore(options: RotateOptions): Promise<Rotated> {
  const { keystore, passphrase, newPassphrase = passphrase, nowMs } = options;
  // Only who can open the old key may replace it.
  await openKeystore(keystore, passphrase);
  const backup = backupName(keystore, await keystoreAddress(keystore), nowMs);
  await copyBeside(keystore, backup);
  const privateKey = new Uint8Array(randomBytes(32));
  await replaceKeystore(keystore, privateKey, newPassphrase);
  const { address, peerId } = createIdentity(privateKey);
  return { address, peerId: peerId.toString(), backup };
}

/** For example wallet-2026-11-30T02-15-09Z-0x7e5f4552.json. */
function backupName(keystore: string, address: Hex, nowMs: number): string {
  const { dir, name, ext } = path.parse(keystore);
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(":", "-");
  return path.join(dir, `${name}-${time}Z-${address.slice(0, 10)}${ext}`);
}

async function copyBeside(file: string, backup: string): Promise<void> {
  try {
    await fs.copyFile(file, backup, fs.constants.COPYFILE_EXCL);
    const handle = await fs.open(backup, "r+");
    try {
      await handle.chmod(0o600);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST")
      throw new WalletError("WalletExists", `the backup exists already: ${backup}`, {
        cause: error,
        hint: "wait a second and try again",
      });
    throw explainFileError(error, backup);
  }
}
