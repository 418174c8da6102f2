import * as dagCbor from "@ipld/dag-cbor";
import { equalBytes } from "./bytes.ts";
import { InvalidInputError } from "./errors.ts";

/** Canonical DAG-CBOR: the one encoding of everything that is sent or hashed. */
export function encode(value: unknown): Uint8Array {
  return dagCbor.encode(value);
}

/**
 * Decodes canonical DAG-CBOR. Bytes that are valid but not canonical are refused, so one value has one encoding.
 * @throws InvalidInputError `BadEncoding`
 */
export function decode(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = dagCbor.decode(bytes);
    if (equalBytes(dagCbor.encode(value), bytes)) return value;
  } catch (cause) {
    throw new InvalidInputError("BadEncoding", "the bytes are not DAG-CBOR", { cause });
  }
  throw new InvalidInputError("BadEncoding", "the bytes are not in the canonical form of DAG-CBOR");
}
