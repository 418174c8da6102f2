const UNSIGNED_BYTE = 0x08;
const SIGNED_BYTE = 0x09;

/** An array of bytes, row-major, as an IDX file (the format of the MNIST family) that is not compressed. */
export function encodeIdx({ shape, data }: { shape: readonly number[]; data: Uint8Array | Int8Array }): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0, 0, data instanceof Int8Array ? SIGNED_BYTE : UNSIGNED_BYTE, shape.length]);
  shape.forEach((size, i) => view.setUint32(4 + 4 * i, size));
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.length), 4 + 4 * shape.length);
  return bytes;
}
