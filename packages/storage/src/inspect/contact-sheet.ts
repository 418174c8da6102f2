import { FONT_HEIGHT, FONT_WIDTH, textDots } from "./bitmap-font.ts";

/** An image as readers give it. */
export interface SheetSample {
  /** uint8, row-major. */
  readonly pixels: Uint8Array;
  /** [height, width] or [height, width, 1 or 3]. */
  readonly shape: readonly number[];
  readonly label?: string;
}

export interface SheetOptions {
  /** Images in a row; 8 unless given. */
  readonly columns?: number | undefined;
  /** Whether class names stand below the images; true unless given. */
  readonly labels?: boolean | undefined;
}

/** Images that fit on a sheet. */
export const MAX_SHEET_SAMPLES = 64;
/** Pixels that the longer side of an image has on the sheet at most; small images are enlarged by a whole factor. */
const SIDE = 112;
const GAP = 8;
const BACKGROUND = 0xf4;
const INK = 0x22;

/** A picture with three bytes for each pixel. */
interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly bytes: Buffer;
}

export const isImageShape = (shape: readonly number[]): boolean =>
  (shape.length === 2 || (shape.length === 3 && (shape[2] === 1 || shape[2] === 3))) && shape[0]! > 1 && shape[1]! > 1;

/** A smaller copy of an image that is larger than its place on a sheet, so that many can be kept. */
export function thumbnail(sample: SheetSample): SheetSample {
  const { step, height, width, channels } = placeOf(sample);
  const pixels = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        pixels[(y * width + x) * channels + c] =
          sample.pixels[(y * step * sample.shape[1]! + x * step) * channels + c]!;
  return { ...sample, pixels, shape: [height, width, channels] };
}

/**
 * Puts up to 64 images into a grid with their class names below, without a font of the system.
 * @returns PNG
 */
export async function contactSheet(samples: readonly SheetSample[], options: SheetOptions = {}): Promise<Uint8Array> {
  const shown = samples.slice(0, MAX_SHEET_SAMPLES).map(thumbnail);
  const columns = Math.max(1, Math.min(options.columns ?? 8, shown.length));
  const labels = (options.labels ?? true) && shown.some(({ label }) => label !== undefined);
  const sizes = shown.map((sample) => sample.shape.slice(0, 2).map((side) => side * factorOf(sample)));
  const cellHeight = Math.max(1, ...sizes.map(([height]) => height!));
  const cellWidth = Math.max(SIDE, ...sizes.map(([, width]) => width!));
  const caption = labels ? 2 * FONT_HEIGHT + 4 : 0;
  const rows = Math.max(1, Math.ceil(shown.length / columns));
  const width = GAP + columns * (cellWidth + GAP);
  const height = GAP + rows * (cellHeight + caption + GAP);
  const canvas: Canvas = { width, height, bytes: Buffer.alloc(width * height * 3, BACKGROUND) };
  shown.forEach((sample, i) => {
    const left = GAP + (i % columns) * (cellWidth + GAP);
    const top = GAP + Math.floor(i / columns) * (cellHeight + caption + GAP);
    const [, imageWidth] = sizes[i] as [number, number];
    drawImage(canvas, sample, left + Math.floor((cellWidth - imageWidth) / 2), top);
    if (labels && sample.label !== undefined) drawCaption(canvas, sample.label, left, top + cellHeight + 4, cellWidth);
  });
  // Only then is the library of images loaded.
  const { default: sharp } = await import("sharp");
  return sharp(canvas.bytes, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** Every `step`-th pixel of a large image is shown. */
function placeOf({ shape }: SheetSample): { step: number; height: number; width: number; channels: number } {
  const [height, width, channels = 1] = shape as [number, number, number?];
  const step = Math.max(1, Math.ceil(Math.max(height, width) / SIDE));
  return { step, height: Math.ceil(height / step), width: Math.ceil(width / step), channels };
}

const factorOf = ({ shape }: SheetSample): number => Math.max(1, Math.floor(SIDE / Math.max(shape[0]!, shape[1]!)));

function drawImage({ bytes, width }: Canvas, sample: SheetSample, left: number, top: number): void {
  const [rows, columns, channels] = sample.shape as [number, number, number];
  const factor = factorOf(sample);
  for (let y = 0; y < rows * factor; y++) {
    for (let x = 0; x < columns * factor; x++) {
      const from = (Math.floor(y / factor) * columns + Math.floor(x / factor)) * channels;
      const to = ((top + y) * width + left + x) * 3;
      for (let c = 0; c < 3; c++) bytes[to + c] = sample.pixels[from + (channels === 3 ? c : 0)]!;
    }
  }
}

/** In the middle; in large letters if they fit, else in small ones, as many as fit. */
function drawCaption({ bytes, width }: Canvas, text: string, left: number, top: number, room: number): void {
  const scale = text.length * FONT_WIDTH * 2 <= room ? 2 : 1;
  const most = Math.floor(room / (FONT_WIDTH * scale));
  const shown = text.length > most ? `${text.slice(0, most - 2)}..` : text;
  const start = left + Math.floor((room - shown.length * FONT_WIDTH * scale) / 2);
  for (const [x, y] of textDots(shown)) {
    for (let dy = 0; dy < scale; dy++) {
      const to = ((top + y * scale + dy) * width + start + x * scale) * 3;
      bytes.fill(INK, to, to + 3 * scale);
    }
  }
}
