// The part of the ABI that the model needs for every call, faster than a general encoder: words, and arrays of words.
import { fromHex, keccak256, toHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { toFunctionSelector } from "viem";

/** What one word can hold. */
export type Word = Hex | number | bigint | boolean;

/** 64 digits. Hex strings are numbers unless they are full words already. */
export function hexWord(value: Word): string {
  if (typeof value === "string") return value.slice(2).padStart(64, "0");
  return Number(value) === 0 ? ZERO : BigInt(value).toString(16).padStart(64, "0");
}

const ZERO = "0".repeat(64);

export const words = (...values: readonly Word[]): string => values.map(hexWord).join("");
export const arrayWords = (values: readonly Word[]): string => words(values.length, ...values);
export const hashHex = (...parts: readonly string[]): Hex =>
  toHex(keccak256(...parts.map((part) => fromHex(`0x${part}`))));
export const hashWords = (...values: readonly Word[]): Hex => hashHex(words(...values));
export const hashText = (text: string): Hex => toHex(keccak256(new TextEncoder().encode(text)));

const selectors = new Map<string, string>();

/** Calldata of a function whose parameters are words. */
export function callOf(signature: string, ...values: readonly Word[]): Hex {
  let selector = selectors.get(signature);
  if (selector === undefined) {
    selector = toFunctionSelector(signature);
    selectors.set(signature, selector);
  }
  return `${selector}${words(...values)}` as Hex;
}

export const answerOf = (...values: readonly Word[]): Hex => `0x${words(...values)}`;

/** A signature that a puppet's contract accepts from its account. */
export const puppetSignature = (signer: Hex, digest: Hex): Hex => hashWords(signer, digest);
