import process from "node:process";
import { fromHex, toHex } from "@skynet/protocol";
import { privateKeyToAddress } from "viem/accounts";
import { readInputFile } from "../runtime/files.ts";
import { WalletError } from "./errors.ts";

const SECP256K1_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
/** A key nearer than this to 0 or to the order is found by counting. */
const TOO_NEAR = 2n ** 128n;
/** 32 random bytes have fewer different values with a probability below 2^-100. */
const LEAST_VALUES = 10;

/** Accounts of the mnemonic that every development chain uses ("test test ... junk"): their keys are in all manuals. */
const PUBLIC_ACCOUNTS = new Set([
  "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
  "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
  "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
  "0x90f79bf6eb2c4f870365e785982e1f101e93b906",
  "0x15d34aaf54267db7d7c367839aaf71a00a2c6a65",
  "0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc",
  "0x976ea74026e726554db657fa54763abd0c3a0aa9",
  "0x14dc79964da2c08b23698b3d3cc7ca32193d9955",
  "0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f",
  "0xa0ee7a142d267c1f36714e4a8f75612f20a79720",
]);

/**
 * The private key in a text of 64 hexadecimal digits, with or without 0x. Keys that others know or can guess are refused:
 * they would not even keep a stake.
 * @returns 32 bytes
 * @throws WalletError `BadPrivateKey`, `WeakPrivateKey`
 */
export function parsePrivateKey(text: string): Uint8Array {
  const digits = text.trim().replace(/^0x/, "");
  const value = /^[0-9a-fA-F]{64}$/.test(digits) ? BigInt(`0x${digits}`) : 0n;
  if (value === 0n || value >= SECP256K1_ORDER)
    throw new WalletError(
      "BadPrivateKey",
      "not a private key: 64 hexadecimal digits of a number below the curve's order are needed",
    );
  const key = fromHex(`0x${digits.toLowerCase()}`);
  checkStrength(key, value);
  return key;
}

function checkStrength(key: Uint8Array, value: bigint): void {
  const weak = (why: string) =>
    new WalletError("WeakPrivateKey", `this private key ${why}`, {
      hint: "make a random one: npx skynet wallet new",
    });
  if (value < TOO_NEAR || SECP256K1_ORDER - value < TOO_NEAR || new Set(key).size < LEAST_VALUES)
    throw weak("can be guessed");
  if (PUBLIC_ACCOUNTS.has(privateKeyToAddress(toHex(key)).toLowerCase()))
    throw weak("is a public one of development chains: everybody can use it");
}

/** Content of a file, or of standard input for "-". @throws FileError `FileNotFound` */
export async function readFileOrInput(file: string, what: string): Promise<Uint8Array> {
  if (file !== "-") return readInputFile(file, what);
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}
