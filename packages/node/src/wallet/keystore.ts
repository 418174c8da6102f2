import { scrypt } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { fromHex, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { Keystore } from "ox";
import { privateKeyToAddress } from "viem/accounts";
import { z } from "zod";
import { writeFileAtomic } from "../runtime/files.ts";

export class WalletError extends SkyNetError {}

/** scrypt cost of new keystores: about 0.3 s and 128 MiB, the value of most Ethereum wallets halved. */
const SCRYPT_N = 131_072;
const scryptAsync = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
);

const keystoreSchema = z.looseObject({
  address: z.string().optional(),
  version: z.literal(3),
  crypto: z.looseObject({
    cipher: z.literal("aes-128-ctr"),
    ciphertext: z.string(),
    cipherparams: z.looseObject({ iv: z.string() }),
    kdf: z.enum(["scrypt", "pbkdf2"]),
    kdfparams: z.looseObject({
      n: z.number().int().max(2_097_152).optional(),
      c: z.number().int().max(10_000_000).optional(),
    }),
    mac: z.string(),
  }),
});

async function derive(password: string, params: { n: number; r: number; p: number; salt: string }): Promise<Hex> {
  const salt = fromHex(params.salt.startsWith("0x") ? params.salt : `0x${params.salt}`);
  const { n: N, r, p } = params;
  return toHex(await scryptAsync(password, salt, 32, { N, r, p, maxmem: 256 * N * r }));
}

/**
 * Encrypts a private key into an Ethereum keystore (Web3 Secret Storage, version 3) and writes it with mode 0600.
 * @param scryptN cost of every guess of the passphrase; one that nobody can guess, of 16 random bytes, needs little
 * @throws WalletError `WalletExists` when the file is there already.
 */
export async function createKeystore(
  file: string,
  privateKey: Uint8Array,
  passphrase: string,
  scryptN = SCRYPT_N,
): Promise<Hex> {
  if (await exists(file))
    throw new WalletError("WalletExists", `a wallet exists already: ${file}`, {
      hint: "choose another --keystore; a wallet is never overwritten",
    });
  const address = privateKeyToAddress(toHex(privateKey)).toLowerCase() as Hex;
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const kdfparams = { dklen: 32, n: scryptN, r: 8, p: 1, salt: toHex(salt).slice(2) };
  const key = await derive(passphrase, kdfparams);
  const keystore = Keystore.encrypt(privateKey, key, {
    kdf: "scrypt",
    kdfparams,
    iv: crypto.getRandomValues(new Uint8Array(16)),
  });
  await fs.mkdir(path.dirname(file), { recursive: true });
  await writeFileAtomic(file, `${JSON.stringify({ address: address.slice(2), ...keystore }, null, 2)}\n`, 0o600);
  return address;
}

/**
 * Opens a keystore.
 * @returns the private key, 32 bytes
 * @throws WalletError `WalletNotFound`, `BrokenWallet`, `WrongPassphrase`
 */
export async function openKeystore(file: string, passphrase: string): Promise<Uint8Array> {
  const keystore = await readKeystore(file);
  try {
    const kdf = keystore.crypto as { kdf: string; kdfparams: { n: number; r: number; p: number; salt: string } };
    const key =
      kdf.kdf === "scrypt"
        ? await derive(passphrase, kdf.kdfparams)
        : await Keystore.toKeyAsync(keystore, { password: passphrase });
    return Keystore.decrypt(keystore, key, { as: "Bytes" });
  } catch (cause) {
    throw new WalletError("WrongPassphrase", `the passphrase does not open ${file}`, {
      cause,
      hint: "check --passphrase-file or SKYNET_PASSPHRASE",
    });
  }
}

/** Address that the keystore names; no passphrase is needed. */
export async function keystoreAddress(file: string): Promise<Hex> {
  const { address } = (await readKeystore(file)) as { address?: string };
  if (address === undefined || !/^(0x)?[0-9a-fA-F]{40}$/.test(address))
    throw new WalletError("BrokenWallet", `${file} does not name its address`);
  return `0x${address.replace(/^0x/, "").toLowerCase()}`;
}

async function readKeystore(file: string): Promise<Keystore.Keystore> {
  let text: string;
  try {
    text = await fs.readFile(file, "utf8");
  } catch (cause) {
    throw new WalletError("WalletNotFound", `no wallet at ${file}`, { cause, hint: "make one: npx skynet wallet new" });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WalletError("BrokenWallet", `${file} is not a keystore: it is not JSON`, { cause });
  }
  const parsed = keystoreSchema.safeParse(value);
  if (!parsed.success) throw new WalletError("BrokenWallet", `${file} is not a version 3 keystore`);
  return parsed.data as unknown as Keystore.Keystore;
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
