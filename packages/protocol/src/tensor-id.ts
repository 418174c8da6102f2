import { keccak256, word } from "./bytes.ts";

/** What an id stands for; part of the hash, so that an id of one kind never passes for another. */
export type TensorTag = "weights" | "batch";

/** An exact integer tensor: `data` row-major, value = data / 2^scale. */
export interface IntegerTensor {
  readonly shape: readonly number[];
  readonly scale: number;
  readonly data: Int8Array | Uint8Array | Int16Array | Int32Array;
}

const text = new TextEncoder();

/** Little-endian bytes of the elements, independent of the machine's byte order. */
function canonicalBytes(data: IntegerTensor["data"]): Uint8Array {
  if (data.BYTES_PER_ELEMENT === 1 || littleEndian)
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const view = new DataView(new ArrayBuffer(data.byteLength));
  data.forEach((value, i) =>
    data.BYTES_PER_ELEMENT === 2 ? view.setInt16(2 * i, value, true) : view.setInt32(4 * i, value, true),
  );
  return new Uint8Array(view.buffer);
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * Identity of a list of integer tensors (quorum mode): keccak256 over the tag, then for each tensor its rank, shape,
 * scale, element width and canonical little-endian bytes. 32 bytes. Proof mode replaces this function by commitments.
 */
export function tensorId(tag: TensorTag, tensors: readonly IntegerTensor[]): Uint8Array {
  const parts = [keccak256(text.encode(`skynet/1/${tag}`)), word(tensors.length)];
  for (const { shape, scale, data } of tensors) {
    parts.push(word(shape.length), ...shape.map(word), word(scale), word(data.BYTES_PER_ELEMENT), canonicalBytes(data));
  }
  return keccak256(...parts);
}
