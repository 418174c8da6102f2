import sharp, { type Sharp } from "sharp";
import { reasonOf, StorageError } from "../errors.ts";

/** What is read by its first bytes; the extension does not count. */
type ImageKind = "PNG" | "JPEG";

/** Of images that are decoded: 16 million pixels, and no side that makes a few lines of them fill the memory. */
const MAX_PIXELS = 16_000_000;
const MAX_INPUT_SIDE = 16_384;
/** Largest side of what an image becomes. */
export const MAX_SIDE = 1_024;

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
}

/** What a header says, before anything is decoded. */
export interface ImageHeader {
  readonly height: number;
  readonly width: number;
  readonly grey: boolean;
}

const KINDS: readonly (readonly [string, readonly number[]])[] = [
  ["PNG", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["JPEG", [0xff, 0xd8, 0xff]],
  ["GIF", [0x47, 0x49, 0x46, 0x38]],
  ["BMP", [0x42, 0x4d]],
  ["TIFF", [0x49, 0x49, 0x2a, 0x00]],
  ["TIFF", [0x4d, 0x4d, 0x00, 0x2a]],
  ["WebP", [0x52, 0x49, 0x46, 0x46]],
  ["SVG or XML", [0x3c]],
];

/** libvips reads dozens of formats, each with bugs of its own: only these two may ever see a byte. */
let prepared = false;
function prepare(): void {
  if (prepared) return;
  sharp.block({ operation: ["VipsForeignLoad"] });
  sharp.unblock({ operation: ["VipsForeignLoadPngBuffer", "VipsForeignLoadJpegBuffer"] });
  sharp.cache(false);
  sharp.concurrency(1);
  prepared = true;
}

/**
 * Size and colours of an image, after the rotation that its EXIF data asks for.
 * @param where file and entry, for errors
 * @throws StorageError as {@link decodeImage}
 */
export async function imageHeader(bytes: Uint8Array, where: string): Promise<ImageHeader> {
  const { autoOrient, channels, hasAlpha } = await guarded(bytes, where, (image) => image.metadata());
  return { ...autoOrient, grey: channels - (hasAlpha ? 1 : 0) === 1 };
}

/**
 * An image as rows of pixels, height x width x channels bytes, in sRGB or grey. It is rotated as its EXIF data asks,
 * put onto white where it is transparent, and made to fit into the shape (Lanczos kernel), centred on white, if it has
 * another size.
 * @throws StorageError `UnsupportedFile` (neither PNG nor JPEG), `TooLarge`, `TruncatedFile`, `BadFile`
 */
export async function decodeImage(bytes: Uint8Array, shape: ImageShape, where: string): Promise<Uint8Array> {
  const { height, width, channels } = shape;
  const data = await guarded(bytes, where, (image) =>
    image
      .autoOrient()
      .flatten({ background: "white" })
      .resize({ height, width, fit: "contain", background: "white", kernel: "lanczos3", fastShrinkOnLoad: false })
      .toColourspace(channels === 1 ? "b-w" : "srgb")
      .raw({ depth: "uchar" })
      .toBuffer(),
  );
  if (data.length !== height * width * channels)
    throw new StorageError(
      "BadFile",
      `${where}: decoded to ${data.length} bytes, not ${height} x ${width} x ${channels}`,
    );
  return data;
}

async function guarded<T>(bytes: Uint8Array, where: string, work: (image: Sharp) => Promise<T>): Promise<T> {
  checkKind(bytes, where);
  prepare();
  try {
    const image = sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: "error", sequentialRead: true });
    const { height, width } = await image.metadata();
    if (Math.max(height, width) > MAX_INPUT_SIDE)
      throw tooLarge(`${where}: the image has a side of more than ${MAX_INPUT_SIDE} pixels`);
    return await work(image);
  } catch (cause) {
    throw cause instanceof StorageError ? cause : imageError(where, bytes, cause);
  }
}

function checkKind(bytes: Uint8Array, where: string): asserts bytes is Uint8Array {
  const kind = KINDS.find(([, magic]) => magic.every((byte, i) => bytes[i] === byte))?.[0];
  if (kind === ("PNG" satisfies ImageKind) || kind === ("JPEG" satisfies ImageKind)) return;
  const what = bytes.length === 0 ? "an empty file" : kind === undefined ? "no image" : `${kind}, not PNG or JPEG`;
  throw new StorageError("UnsupportedFile", `${where}: ${what}`, {
    hint: "images are read as PNG and JPEG; convert it, or take it out",
  });
}

function tooLarge(message: string, cause?: unknown): StorageError {
  const hint = "this looks like a decompression bomb; make it smaller, or take it out";
  return new StorageError("TooLarge", message, { cause, hint });
}

function imageError(where: string, bytes: Uint8Array, cause: unknown): StorageError {
  const reason = reasonOf(cause).replaceAll(/\s+/g, " ").trim();
  if (/pixel limit|too large|exceed/i.test(reason))
    return tooLarge(`${where}: the image has more than ${MAX_PIXELS / 1e6} million pixels`, cause);
  // libpng does not say it, but the last chunk of a PNG is always IEND.
  const endless = bytes[0] === KINDS[0]![1][0] && !Buffer.from(bytes).includes("IEND");
  const cut = endless || /premature end/i.test(reason);
  const message = `${where}: the image is ${cut ? "cut off" : "damaged"} (${reason})`;
  return new StorageError(cut ? "TruncatedFile" : "BadFile", message, {
    cause,
    hint: "get the file again, or take it out",
  });
}
