import { reasonOf, StorageError } from "../errors.ts";
import type { ByteStream } from "./byte-stream.ts";
import type { ElementType, NumberType } from "./elements.ts";
import { parsePythonLiteral } from "./python-literal.ts";

/** NumPy itself refuses longer ones unless told otherwise: 10,000. */
const MAX_HEADER_BYTES = 65_536;

export interface NpyHeader {
  readonly shape: readonly number[];
  readonly element: ElementType;
}

/**
 * Reads the header of a .npy file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1
 * to 3, and leaves the stream at the first element.
 * @throws StorageError `BadFile`, `TruncatedFile`, `UnsupportedFile` (object arrays, records, complex numbers, Fortran order)
 */
export async function readNpyHeader(stream: ByteStream): Promise<NpyHeader> {
  const magic = await stream.take(8, "the header");
  if (Buffer.from(magic.subarray(0, 6)).toString("latin1") !== "\x93NUMPY")
    throw new StorageError("BadFile", `${stream.name}: not a .npy file: it does not begin with \\x93NUMPY`);
  const version = magic[6]!;
  if (version < 1 || version > 3)
    throw new StorageError("UnsupportedFile", `${stream.name}: version ${version} of the .npy format is not known`);
  const lengthBytes = await stream.take(version === 1 ? 2 : 4, "the header");
  const view = new DataView(lengthBytes.buffer);
  const length = version === 1 ? view.getUint16(0, true) : view.getUint32(0, true);
  if (length > MAX_HEADER_BYTES)
    throw new StorageError("TooLarge", `${stream.name}: a header of ${length} bytes; at most ${MAX_HEADER_BYTES}`);
  const bytes = Buffer.from(await stream.take(length, "the header"));
  return parseHeader(stream.name, bytes.toString(version === 3 ? "utf8" : "latin1"));
}

function parseHeader(name: string, text: string): NpyHeader {
  let header;
  try {
    header = parsePythonLiteral(text);
  } catch (cause) {
    throw new StorageError("BadFile", `${name}: the header is not a Python literal: ${reasonOf(cause)}`, { cause });
  }
  if (!(header instanceof Map) || header.size !== 3)
    throw new StorageError("BadFile", `${name}: the header is not a dictionary of descr, fortran_order and shape`);
  const shape = header.get("shape");
  if (!Array.isArray(shape) || !shape.every((size) => typeof size === "number"))
    throw new StorageError("BadFile", `${name}: the header has no shape`);
  const fortran = header.get("fortran_order");
  if (typeof fortran !== "boolean") throw new StorageError("BadFile", `${name}: the header has no fortran_order`);
  const element = parseType(name, header.get("descr"));
  // With one dimension longer than 1 the two orders are the same.
  if (fortran && shape.filter((size) => size !== 1).length > 1)
    throw new StorageError("UnsupportedFile", `${name}: the array is in Fortran order, column by column`, {
      hint: "save it row by row: np.save(file, np.ascontiguousarray(array))",
    });
  return { shape, element };
}

const NUMBERS: Readonly<Record<string, NumberType>> = {
  b1: "bool",
  i1: "int8",
  u1: "uint8",
  i2: "int16",
  u2: "uint16",
  i4: "int32",
  u4: "uint32",
  i8: "int64",
  u8: "uint64",
  f2: "float16",
  f4: "float32",
  f8: "float64",
};

function parseType(name: string, descr: unknown): ElementType {
  if (typeof descr !== "string")
    throw new StorageError("UnsupportedFile", `${name}: an array of records is not read`, {
      hint: "save the fields as arrays of their own: np.savez(file, **{name: a[name] for name in a.dtype.names})",
    });
  const [, order, kind, digits] = /^([<>|=]?)([a-zA-Z])(\d{0,10})$/.exec(descr) ?? [];
  if (kind === "O")
    throw new StorageError("UnsupportedFile", `${name}: an array of Python objects (a pickle) is never read`, {
      hint: "a pickle can run any program; save numbers or strings instead: array.astype(float) or array.astype(str)",
    });
  const littleEndian = order !== ">";
  const size = Number(digits);
  if (kind === "S" || kind === "U") {
    if (size === 0) throw new StorageError("UnsupportedFile", `${name}: texts of no character (${descr})`);
    return kind === "S"
      ? { kind: "text", encoding: "utf-8", bytes: size, littleEndian }
      : { kind: "text", encoding: "utf-32", bytes: 4 * size, littleEndian };
  }
  const type = NUMBERS[`${kind}${digits}`];
  if (type === undefined)
    throw new StorageError("UnsupportedFile", `${name}: values of type ${JSON.stringify(descr)} are not read`, {
      hint: "booleans, integers, floats up to 64 bits and texts are; convert it with array.astype(...)",
    });
  return { kind: "number", type, bytes: size, littleEndian };
}
