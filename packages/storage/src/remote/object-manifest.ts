import { CID } from "multiformats/cid";
import { z } from "zod";
import { StorageError } from "../errors.ts";

/** Bytes of a part of a file; the last one is shorter. */
export const PART_BYTES = 16 * 1024 * 1024;
/** Most bytes of a manifest object: enough for 4 TB. */
export const MAX_MANIFEST_BYTES = 32 * 1024 * 1024;

const cidText = z.string().refine((text) => {
  try {
    return CID.parse(text).toString() === text;
  } catch {
    return false;
  }
}, "not a CID");

const schema = z
  .strictObject({
    format: z.literal("skynet-file"),
    version: z.literal(1),
    /** Bytes of all parts together; of the encrypted file if it is encrypted. */
    size: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
    partBytes: z
      .number()
      .int()
      .min(1024)
      .max(256 * 1024 * 1024),
    encryption: z.enum(["none", "age"]),
    /** Name of the file; never given for encrypted ones. */
    name: z.string().max(255).optional(),
    parts: z.array(cidText).max(300_000),
  })
  .refine(({ size, partBytes, parts }) => parts.length === Math.ceil(size / partBytes), "parts do not make the size");

/** The small object that lists the parts of an uploaded file in order. Its own CID names the file. */
export type ObjectManifest = z.output<typeof schema>;

export const encodeObjectManifest = (manifest: ObjectManifest): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(`${JSON.stringify(manifest)}\n`);

/** Whether a file begins like a manifest object. */
export const looksLikeManifest = (bytes: Uint8Array): boolean =>
  new TextDecoder().decode(bytes.subarray(0, 32)).startsWith('{"format":"skynet-file",');

/** @throws StorageError `BadManifest` */
export function parseObjectManifest(bytes: Uint8Array): ObjectManifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new StorageError("BadManifest", "the list of the file's parts is not JSON", { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new StorageError("BadManifest", `the list of the file's parts is malformed: ${z.prettifyError(parsed.error)}`, {
    hint: "it was made by another program or a newer version",
  });
}

/** Bytes of one part. */
export const partLength = ({ size, partBytes }: Pick<ObjectManifest, "size" | "partBytes">, index: number): number =>
  Math.min(partBytes, size - index * partBytes);
