import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes } from "@noble/hashes/utils.js";
import { InvalidInputError } from "./errors.ts";

/** 0x-prefixed lower-case hexadecimal. */
export type Hex = `0x${string}`;

export { concatBytes };

export function toHex(bytes: Uint8Array): Hex {
  return `0x${bytesToHex(bytes)}`;
}

/** @throws InvalidInputError `BadHex` when the text is not 0x-prefixed hexadecimal of whole bytes. */
export function fromHex(hex: string): Uint8Array {
  if (!/^0x([0-9a-fA-F]{2})*$/.test(hex))
    throw new InvalidInputError("BadHex", `not a hexadecimal string: ${hex.slice(0, 20)}`);
  return hexToBytes(hex.slice(2));
}

/** Node's own hash, where its OpenSSL has Keccak: twenty times as fast on large inputs as one in JavaScript. */
const native = globalThis.process?.getBuiltinModule?.("node:crypto");
const hasNative = native?.getHashes().includes("keccak-256") ?? false;

/** Keccak-256 of the parts one after another, as Solidity's `keccak256`: 32 bytes. */
export const keccak256: (...parts: Uint8Array[]) => Uint8Array = hasNative ? nativeKeccak256 : portableKeccak256;

function nativeKeccak256(...parts: Uint8Array[]): Uint8Array {
  const [first = new Uint8Array(), ...others] = parts;
  // One call is twice as fast as an object with updates, also when the parts are copied for it.
  const digest = native!.hash("keccak-256", others.length === 0 ? first : concatBytes(...parts), "buffer");
  return new Uint8Array(digest.buffer, digest.byteOffset, digest.byteLength);
}

/** The same in JavaScript, for browsers. */
export function portableKeccak256(...parts: Uint8Array[]): Uint8Array {
  const hash = keccak_256.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Big-endian 32-byte word, as Solidity encodes a uint256. */
export function word(value: bigint | number): Uint8Array {
  let rest = BigInt(value);
  if (rest < 0n || rest >= 1n << 256n)
    throw new InvalidInputError("BadWord", `not a 256-bit unsigned integer: ${value}`);
  const out = new Uint8Array(32);
  for (let i = 31; i >= 0; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}
