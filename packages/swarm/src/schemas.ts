import { z } from "zod";

/** Bytes of any length. */
export const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "bytes are needed");

/** Exactly `length` bytes. */
export const bytesOf = (length: number) =>
  bytes.refine((value) => value.length === length, `${length} bytes are needed`);
