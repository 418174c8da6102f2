import fs from "node:fs/promises";
import path from "node:path";
import { crc32, deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fixture, openTestFolder, type TestFolder } from "../testing-files.ts";
import { openReader } from "./open.ts";
import { readRows } from "./testing-rows.ts";
import { zipOf, type ZipFile } from "./testing-zip.ts";

let scratch: TestFolder;
beforeAll(async () => {
  scratch = await openTestFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const CLASSES = ["bag", "boot", "coat", "dress", "pullover", "sandal", "shirt", "sneaker", "top", "trouser"];

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
/** A grey PNG of one colour; `lines` may be fewer than the header says. */
function png(width: number, height: number, value = 0, lines = height): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0], 8);
  const row = Buffer.alloc(width + 1, value);
  row[0] = 0;
  const data = deflateSync(Buffer.concat(Array.from({ length: lines }, () => row)));
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())]);
}
const images = async (files: readonly ZipFile[], options = {}) =>
  openReader(await scratch.write("images.zip", zipOf(files)), options);

test.each(["fashion-images.zip", "fashion-images-infozip.zip"])("%s: pixels, classes and order", async (name) => {
  const reader = await openReader(fixture(`numpy-and-images/${name}`));
  expect(reader).toMatchObject({
    rows: 60,
    classes: CLASSES,
    notes: [],
    columns: [
      { name: "image", kind: "tensor", shape: [28, 28], dtype: "uint8" },
      { name: "label", kind: "cells" },
    ],
  });
  const { columns, where } = await readRows(reader);
  expect(where[0]).toBe("entry fashion/bag/0.png");
  expect(columns.label!.filter((label) => label === "boot")).toHaveLength(6);
  // The first boot is the first image of the test set, which the archive of arrays has as well.
  const arrays = await readRows(await openReader(fixture("numpy-and-images/fashion.npz")));
  expect(where[6]).toBe("entry fashion/boot/0.png");
  expect(columns.image![6]).toEqual(arrays.columns.x![0]);
});

test("a folder is read like the archive of it, without hidden files and links that lead out", async () => {
  const outside = await scratch.write("outside.png", png(2, 2, 9));
  await scratch.write("pets/cat/b.png", png(2, 2, 1));
  await scratch.write("pets/dog/a.PNG", png(2, 2, 2));
  await scratch.write("pets/cat/.hidden.png", Buffer.from("x"));
  await scratch.write("pets/.git/c.png", Buffer.from("x"));
  await scratch.write("pets/labels.csv", Buffer.from("x"));
  const pets = path.join(scratch.path, "pets");
  await fs.symlink(outside, path.join(pets, "cat", "out.png"));
  await fs.symlink(path.join("..", "cat", "b.png"), path.join(pets, "dog", "inside.png"));
  await fs.symlink("/", path.join(pets, "cat", "root"));
  await fs.symlink("nowhere.png", path.join(pets, "cat", "lost.png"));
  const reader = await openReader(pets);
  expect(reader.classes).toEqual(["cat", "dog"]);
  expect(reader.notes![0]).toContain("4 (cat/lost.png, cat/out.png, cat/root, ...)");
  const { columns, where } = await readRows(reader);
  expect(where).toEqual(["entry cat/b.png", "entry dog/a.PNG", "entry dog/inside.png"]);
  expect(columns.image!.map((row) => (row as number[])[0])).toEqual([1, 2, 1]);
});

test("a file of a folder that is replaced by a link to outside is not read through it", async () => {
  const outside = await scratch.write("secret.png", png(2, 2, 9));
  const inside = await scratch.write("swapped/cat/a.png", png(2, 2, 1));
  const reader = await openReader(path.join(scratch.path, "swapped"));
  await fs.rm(inside);
  await fs.symlink(outside, inside);
  await expect(readRows(reader)).rejects.toMatchObject({ code: "StoreFailed", message: /cat\/a.png/ });
});

test("colours, transparency, palettes, 16 bits, EXIF rotation, CMYK, and a JPEG by another name", async () => {
  const reader = await openReader(fixture("numpy-and-images/kinds-of-images.zip"));
  expect(reader.columns[0]!.shape).toEqual([4, 6, 3]);
  expect(reader.notes).toEqual(["left out, since not PNG or JPEG images: 1 (b/README.txt)"]);
  const { columns, where } = await readRows(reader);
  const of = (name: string) => columns.image![where.indexOf(`entry ${name}`)] as number[];
  const corners = (pixels: number[]) => [0, 15, 54, 69].map((at) => pixels.slice(at, at + 3));
  const expected = [
    [255, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 255],
  ];
  expect(corners(of("a/rgb.png"))).toEqual(expected);
  expect(of("a/palette.png")).toEqual(of("a/rgb.png"));
  expect(new Set(of("a/clear.png"))).toEqual(new Set([255]));
  expect(new Set(of("a/grey16.png"))).toEqual(new Set([128]));
  const near = (pixels: number[], by: number) =>
    corners(pixels)
      .flat()
      .forEach((value, i) => expect(Math.abs(value - expected.flat()[i]!)).toBeLessThan(by));
  near(of("a/really-a-jpeg.png"), 60);
  near(of("b/rotated.jpg"), 40);
});

test("size and channels are those of the options; else of the first image if it is small, else 28 x 28", async () => {
  const large = await sharp({ create: { width: 200, height: 100, channels: 3, background: "#ff0000" } })
    .png()
    .toBuffer();
  const shapeOf = async (files: ZipFile[], options = {}) => {
    const reader = await images(files, options);
    await reader.close();
    return reader.columns[0]!.shape;
  };
  const files = [{ name: "a/1.png", data: large }];
  expect(await shapeOf(files)).toEqual([28, 28, 3]);
  expect(await shapeOf([{ name: "a/0.png", data: png(64, 30) }])).toEqual([30, 64]);
  expect(await shapeOf(files, { size: [8, 16], channels: 1 })).toEqual([8, 16]);
  const { columns } = await readRows(await images(files, { size: [16, 16] }));
  // Half as high as wide: in the middle, between white.
  const row = (y: number) => (columns.image![0] as number[]).slice(48 * y, 48 * y + 3);
  expect([row(0), row(8), row(15)]).toEqual([
    [255, 255, 255],
    [255, 0, 0],
    [255, 255, 255],
  ]);
  await expect(images(files, { size: [0, 4] })).rejects.toMatchObject({ code: "BadSchema" });
});

test("folders train and test above the classes become a column", async () => {
  const files = ["set/train/cat/1.png", "set/train/dog/1.png", "set/test/cat/2.png"];
  const reader = await images(files.map((name, i) => ({ name, data: png(2, 2, i) })));
  const { columns } = await readRows(reader);
  expect(reader.classes).toEqual(["cat", "dog"]);
  expect(columns.label).toEqual(["cat", "cat", "dog"]);
  expect(columns.split).toEqual(["test", "train", "train"]);
});

const small = png(2, 2);
const jpeg = () =>
  sharp({ create: { width: 64, height: 64, channels: 3, background: "#123456" } })
    .jpeg()
    .toBuffer();
test.each<[string, readonly ZipFile[], string, string]>([
  ["a path out of it", [{ name: "a/../../x.png", data: small }], "UnsafePath", "a/../../x.png"],
  ["an absolute path", [{ name: "/etc/x.png", data: small }], "UnsafePath", "/etc/x.png"],
  ["a drive letter", [{ name: "C:/x.png", data: small }], "UnsafePath", "C:/x.png"],
  ["a backslash", [{ name: "a\\..\\x.png", data: small }], "UnsafePath", "invalid characters"],
  ["a NUL", [{ name: "a/x.png\0.txt", data: small }], "UnsafePath", "NUL"],
  [
    "a symbolic link",
    [{ name: "a/x.png", data: Buffer.from("/etc/passwd"), says: { mode: 0o120777 } }],
    "UnsafePath",
    "symbolic link",
  ],
  ["an encrypted entry", [{ name: "a/x.png", data: small, says: { flags: 1 } }], "UnsupportedFile", "encrypted"],
  ["another compression", [{ name: "a/x.png", data: small, says: { method: 12 } }], "UnsupportedFile", "method 12"],
  [
    "a name twice",
    [
      { name: "a/x.png", data: small },
      { name: "a/x.png", data: small },
    ],
    "BadFile",
    "twice",
  ],
  ["a high ratio", [{ name: "a/x.png", data: Buffer.alloc(2 ** 22), deflate: true }], "TooLarge", "100 times"],
  [
    "a huge entry",
    [{ name: "a/x.png", data: small, deflate: true, says: { bytes: 2 ** 31 } }],
    "TooLarge",
    "are more than",
  ],
  [
    "more than it says",
    [{ name: "a/x.png", data: Buffer.alloc(2 ** 20), deflate: true, says: { bytes: 100 } }],
    "TooLarge",
    "more comes out",
  ],
  [
    "less than it says",
    [{ name: "a/x.png", data: small, deflate: true, says: { bytes: 99_999 } }],
    "BadFile",
    "bytes came out",
  ],
  [
    "shared data",
    [
      { name: "a/x.png", data: small },
      { name: "a/y.png", data: small, says: { offset: 0 } },
    ],
    "TooLarge",
    "share the same data",
  ],
  [
    "an offset outside",
    [{ name: "a/x.png", data: small, says: { offset: 2 ** 31 } }],
    "TruncatedFile",
    "beyond the end",
  ],
  ["an offset elsewhere", [{ name: "a/x.png", data: small, says: { offset: 5 } }], "BadFile", "not where"],
  ["a wrong checksum", [{ name: "a/x.png", data: small, says: { crc32: 7 } }], "BadFile", "checksum"],
  ["no image", [{ name: "a/x.txt", data: small }], "BadFile", "no PNG or JPEG"],
  ["a GIF by another name", [{ name: "a/x.png", data: Buffer.from("GIF89a....") }], "UnsupportedFile", "GIF, not PNG"],
  ["an SVG by another name", [{ name: "a/x.png", data: Buffer.from("<svg></svg>") }], "UnsupportedFile", "SVG"],
  ["an empty image", [{ name: "a/x.png", data: Buffer.alloc(0) }], "UnsupportedFile", "an empty file"],
  ["a decompression bomb", [{ name: "a/x.png", data: png(50_000, 50_000, 0, 1) }], "TooLarge", "million pixels"],
  ["an image of very long lines", [{ name: "a/x.png", data: png(4, 3_000_000, 0, 1) }], "TooLarge", "a side of more"],
  ["a PNG that lacks lines", [{ name: "a/x.png", data: png(9, 9, 0, 4) }], "BadFile", "a/x.png"],
  ["a PNG that is cut off", [{ name: "a/x.png", data: png(9, 9).subarray(0, 50) }], "TruncatedFile", "a/x.png"],
  [
    "an image outside of classes",
    [
      { name: "a/x.png", data: small },
      { name: "y.png", data: small },
    ],
    "BadFile",
    "y.png lies in no folder",
  ],
])("an archive with %s is refused, naming the entry", async (_name, files, code, text) => {
  const read = async () => readRows(await images(files));
  await expect(read()).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
  await expect(read()).rejects.toThrow("images.zip");
});

test("a JPEG that is cut off is refused", async () => {
  const data = (await jpeg()).subarray(0, -20);
  const read = async () => readRows(await images([{ name: "a/x.jpg", data }]));
  await expect(read()).rejects.toMatchObject({
    code: "TruncatedFile",
    message: expect.stringContaining("a/x.jpg") as string,
  });
});

test("an archive with more entries than arrays could be is refused before they are read", async () => {
  const file = await scratch.write("many.npz", zipOf([{ name: "x.npy", data: small }], { entries: 0xffff }));
  const message = expect.stringContaining("65535 entries are more than 1000") as string;
  await expect(openReader(file)).rejects.toMatchObject({ code: "TooLarge", message });
});
