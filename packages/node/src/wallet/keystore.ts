import { scrypt } from "node:crypto";
import fs from "node:fs/promises";
import { promisify } from "node:util";
import { fromHex, toHex, type Hex } from "@skynet/protocol";
import { Address, Keystore, PublicKey, Secp256k1 } from "ox";
import { z } from "zod";
import { FileError, writeFileAtomic } from "../runtime/files.ts";
import { checkSecretFile, writeNewSecretFile } from "../runtime/secret-files.ts";
import { WalletError } from "./errors.ts";

/** scrypt cost of new keystores: about 0.3 s and 128 MiB, the value of most Ethereum wallets halved. */
const SCRYPT_N = 131_072;
const scryptAsync = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
);

const salt = z.string().regex(/^(0x)?([0-9a-fA-F]{2})*$/);
const scryptSchema = z.object({ n: z.number().int(), r: z.number().int(), p: z.number().int(), salt });
const pbkdf2Schema = z.object({ c: z.number().int().min(1).max(10_000_000), salt });

/** Most that n, r and p may make together: 1 GiB of memory (128 bytes for each n and r), eight times the work of ours. */
const MAX_SCRYPT_COST = 2 ** 23;
/** Each p and r takes 128 bytes more. */
const MAX_SCRYPT_LANES = 2 ** 16;

const keystoreSchema = z.looseObject({
  address: z.string().optional(),
  /** Ours alone: the public key (64 bytes), so that nobody needs the passphrase to learn the PeerId. */
  publicKey: z
    .string()
    .regex(/^[0-9a-f]{128}$/)
    .optional(),
  version: z.literal(3),
  crypto: z.looseObject({
    cipher: z.literal("aes-128-ctr"),
    ciphertext: z.string(),
    cipherparams: z.looseObject({ iv: z.string() }),
    kdf: z.enum(["scrypt", "pbkdf2"]),
    kdfparams: z.looseObject({}),
    mac: z.string(),
  }),
});

async function derive(password: string, params: { n: number; r: number; p: number; salt: string }): Promise<Hex> {
  const salt = fromHex(params.salt.startsWith("0x") ? params.salt : `0x${params.salt}`);
  const { n: N, r, p } = params;
  return toHex(await scryptAsync(password, salt, 32, { N, r, p, maxmem: 256 * r * (N + p) }));
}

const addressOf = (point: PublicKey.PublicKey): Hex =>
  Address.fromPublicKey(point, { checksum: false }).toLowerCase() as Hex;

/** A keystore's text (Web3 Secret Storage, version 3), with the address and the public key in the clear. */
async function encrypt(privateKey: Uint8Array, passphrase: string, scryptN: number): Promise<string> {
  const point = Secp256k1.getPublicKey({ privateKey: toHex(privateKey) });
  const publicKey = PublicKey.toHex(point, { includePrefix: false }).slice(2);
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const kdfparams = { dklen: 32, n: scryptN, r: 8, p: 1, salt: toHex(salt).slice(2) };
  const key = await derive(passphrase, kdfparams);
  const iv = crypto.getRandomValues(new Uint8Array(16));
  const keystore = Keystore.encrypt(privateKey, key, { kdf: "scrypt", kdfparams, iv });
  return `${JSON.stringify({ address: addressOf(point).slice(2), publicKey, ...keystore }, null, 2)}\n`;
}

/**
 * Encrypts a private key into an Ethereum keystore and writes it with mode 0600, in a folder of mode 0700 if there was
 * none.
 * @param scryptN cost of every guess of the passphrase; one that nobody can guess, of 16 random bytes, needs little
 * @throws WalletError `WalletExists` when the file is there already.
 */
export async function createKeystore(
  file: string,
  privateKey: Uint8Array,
  passphrase: string,
  scryptN = SCRYPT_N,
): Promise<Hex> {
  const exists = (cause?: unknown) =>
    new WalletError("WalletExists", `a wallet exists already: ${file}`, {
      cause,
      hint: "choose another --keystore; a wallet is never overwritten",
    });
  if (await isThere(file)) throw exists();
  const text = await encrypt(privateKey, passphrase, scryptN);
  await writeNewSecretFile(file, text).catch((error: unknown) => {
    throw error instanceof FileError && error.code === "FileExists" ? exists(error) : error;
  });
  return addressOf(Secp256k1.getPublicKey({ privateKey: toHex(privateKey) }));
}

/** Replaces a keystore's content, as a whole or not at all: with another passphrase, or another key. */
export async function replaceKeystore(file: string, privateKey: Uint8Array, passphrase: string): Promise<void> {
  await writeFileAtomic(file, await encrypt(privateKey, passphrase, SCRYPT_N), 0o600);
}

/**
 * Opens a keystore.
 * @returns the private key, 32 bytes
 * @throws WalletError `WalletNotFound`, `BrokenWallet`, also when it names the address of another key, `WrongPassphrase`;
 *   FileError `UnsafePermissions`
 */
export async function openKeystore(file: string, passphrase: string): Promise<Uint8Array> {
  const keystore = await readKeystore(file);
  return decryptKeystore(keystore, passphrase, file);
}

/** @throws WalletError `WrongPassphrase`, `BrokenWallet` when the key is another one than the keystore says */
async function decryptKeystore(
  keystore: Keystore.Keystore,
  passphrase: string,
  file: string,
  hint = "check --passphrase-file or SKYNET_PASSPHRASE",
): Promise<Uint8Array> {
  let privateKey: Uint8Array;
  try {
    const kdf = keystore.crypto as { kdf: string; kdfparams: { n: number; r: number; p: number; salt: string } };
    const key =
      kdf.kdf === "scrypt"
        ? await derive(passphrase, kdf.kdfparams)
        : await Keystore.toKeyAsync(keystore, { password: passphrase });
    privateKey = Keystore.decrypt(keystore, key, { as: "Bytes" });
  } catch (cause) {
    throw new WalletError("WrongPassphrase", `the passphrase does not open ${file}`, {
      cause,
      hint,
    });
  }
  const named = namedAddress(keystore);
  const address = addressOf(Secp256k1.getPublicKey({ privateKey: toHex(privateKey) }));
  if (named === undefined || named === address) return privateKey;
  throw new WalletError("BrokenWallet", `${file} says that it is the key of ${named}, and holds that of ${address}`, {
    hint: "somebody changed the file: use a copy, or correct its address if you know the key to be yours",
  });
}

function namedAddress(keystore: Keystore.Keystore): Hex | undefined {
  const { address = "" } = keystore as { address?: string };
  return /^(0x)?[0-9a-fA-F]{40}$/.test(address) ? `0x${address.replace(/^0x/, "").toLowerCase()}` : undefined;
}

/** The private key in the text of a keystore of any software. @throws WalletError `BrokenWallet`, `WrongPassphrase` */
export const openKeystoreText = async (text: string, passphrase: string, file: string): Promise<Uint8Array> =>
  decryptKeystore(parseKeystore(text, file), passphrase, file, "this is the passphrase of the keystore to import");

/** Address that the keystore names; no passphrase is needed. */
export async function keystoreAddress(file: string): Promise<Hex> {
  const address = namedAddress(await readKeystore(file));
  if (address === undefined) throw new WalletError("BrokenWallet", `${file} does not name its address`);
  return address;
}

/**
 * Public key (64 bytes) that the keystore names; undefined for keystores of other software, which name only an address.
 * @throws WalletError `WalletNotFound`, `BrokenWallet`
 */
export async function keystorePublicKey(file: string): Promise<Uint8Array | undefined> {
  const { publicKey } = (await readKeystore(file)) as { publicKey?: string };
  if (publicKey === undefined) return undefined;
  const named = await keystoreAddress(file);
  try {
    if (addressOf(PublicKey.fromHex(`0x04${publicKey}`)) === named) return fromHex(`0x${publicKey}`);
  } catch {
    // No point of the curve.
  }
  throw new WalletError("BrokenWallet", `public key and address in ${file} do not belong together`);
}

async function readKeystore(file: string): Promise<Keystore.Keystore> {
  let text: string;
  try {
    text = await fs.readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EACCES")
      throw new WalletError("WalletNotReadable", `no permission to read ${file}`, {
        cause,
        hint: "run as the user that owns the file; its mode is 0600",
      });
    throw new WalletError("WalletNotFound", `no wallet at ${file}`, { cause, hint: "make one: npx skynet wallet new" });
  }
  await checkSecretFile(file);
  return parseKeystore(text, file);
}

function parseKeystore(text: string, file: string): Keystore.Keystore {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WalletError("BrokenWallet", `${file} is not a keystore: it is not JSON`, { cause });
  }
  const parsed = keystoreSchema.safeParse(value);
  if (!parsed.success) throw new WalletError("BrokenWallet", `${file} is not a version 3 keystore`);
  checkCost(parsed.data.crypto, file);
  return parsed.data as unknown as Keystore.Keystore;
}

/** A keystore from elsewhere must not ask for any amount of memory or time. @throws WalletError `BrokenWallet` */
function checkCost({ kdf, kdfparams }: z.output<typeof keystoreSchema>["crypto"], file: string): void {
  if (kdf === "pbkdf2") {
    if (pbkdf2Schema.safeParse(kdfparams).success) return;
    throw new WalletError("BrokenWallet", `the parameters of pbkdf2 in ${file} are none, or cost too much`);
  }
  const parsed = scryptSchema.safeParse(kdfparams);
  if (parsed.success) {
    const { n, r, p } = parsed.data;
    const valid = n >= 2 && Number.isInteger(Math.log2(n)) && r >= 1 && p >= 1;
    if (valid && n * r * p <= MAX_SCRYPT_COST && r * p <= MAX_SCRYPT_LANES) return;
  }
  throw new WalletError("BrokenWallet", `the parameters of scrypt in ${file} are none, or ask for more than 1 GiB`, {
    hint: "write the keystore again with the usual cost (n 262144, r 8, p 1) in the software that made it",
  });
}

const isThere = (file: string): Promise<boolean> =>
  fs.access(file).then(
    () => true,
    () => false,
  );
