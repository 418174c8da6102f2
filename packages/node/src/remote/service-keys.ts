import path from "node:path";
import process from "node:process";
import { createIdentity, deriveSecret, type Identity } from "@skynet/network";
import { dataKeyOf, decryptBlock, encryptBlock, StorageError, type DataKey } from "@skynet/storage";
import { z } from "zod";
import { readFileIfThere, writeFileAtomic } from "../runtime/files.ts";
import { homeDir } from "../runtime/home.ts";
import { checkSecretFile } from "../runtime/secret-files.ts";
import { openKeystore } from "../wallet/keystore.ts";
import { readPassphrase } from "../wallet/passphrase.ts";

export type ServiceName = "lighthouse" | "pinning";

/** What a user has with a service. */
export interface ServiceAccount {
  readonly key: string;
  /** Address of a pinning service; Lighthouse has its own. */
  readonly url?: string | undefined;
}

/** Environment variables that hold the key of a service: they come before the file. */
export const KEY_VARIABLES: Record<ServiceName, string> = {
  lighthouse: "LIGHTHOUSE_API_KEY",
  pinning: "SKYNET_PINNING_TOKEN",
};

const schema = z.strictObject({ key: z.string(), url: z.string().optional() });

/** Opens the wallet once, when something needs it. */
export interface DataKeys {
  /** The user's own key for files that services keep. It comes from the wallet's: who has the wallet has the files. */
  own(): Promise<DataKey>;
}

/** The key for files that services keep. */
export const ownDataKey = (identity: Identity): Promise<DataKey> => dataKeyOf(deriveSecret(identity, "stored files"));

export function createDataKeys(options: { keystore?: string; passphraseFile?: string }): DataKeys {
  const keystore = path.resolve(options.keystore ?? path.join(homeDir(), "wallet.json"));
  let own: Promise<DataKey> | undefined;
  const open = async () => {
    const passphrase = await readPassphrase({ passphraseFile: options.passphraseFile }, "Passphrase of the wallet");
    return ownDataKey(createIdentity(await openKeystore(keystore, passphrase)));
  };
  return { own: () => (own ??= open()) };
}

export const accountFile = (service: ServiceName): string => path.join(homeDir(), "storage", `${service}.age`);

/** Keeps the key of a service, in a file that only its owner may read and only the wallet opens. @returns the file */
export async function saveAccount(service: ServiceName, account: ServiceAccount, keys: DataKeys): Promise<string> {
  const { recipient } = await keys.own();
  const file = accountFile(service);
  const content = new TextEncoder().encode(JSON.stringify(account));
  await writeFileAtomic(file, await encryptBlock(content, [recipient]), 0o600);
  return file;
}

/**
 * The key of a service: from its environment variable, else from the file of `skynet storage login`.
 * @throws StorageError `NoApiKey`, `CannotDecrypt`; FileError `UnsafePermissions`; WalletError
 */
export async function readAccount(service: ServiceName, keys: DataKeys): Promise<ServiceAccount> {
  const key = process.env[KEY_VARIABLES[service]];
  if (key !== undefined && key !== "") return { key };
  const file = accountFile(service);
  const sealed = await readFileIfThere(file);
  const login = `npx skynet storage login${service === "pinning" ? " --service pinning --url ADDRESS" : ""}`;
  if (sealed === undefined)
    throw new StorageError("NoApiKey", `there is no key for ${titleOf(service)} yet`, {
      hint: `make one at the service, then: ${login} (or set ${KEY_VARIABLES[service]})`,
    });
  await checkSecretFile(file);
  const { identity } = await keys.own();
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(await decryptBlock(sealed, identity))));
  } catch (cause) {
    throw new StorageError("CannotDecrypt", `${file} does not open with this wallet`, {
      cause,
      hint: `use the wallet that it was made with (--keystore), or enter the key again: ${login}`,
    });
  }
}

export const titleOf = (service: ServiceName): string =>
  service === "lighthouse" ? "Lighthouse" : "the pinning service";
