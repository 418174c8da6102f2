import { concatBytes } from "@skynet/protocol";

/** A number as varint. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.of(...bytes, value);
}

/** Bytes behind their length as varint. */
export const varintFramed = (bytes: Uint8Array): Uint8Array => concatBytes(varint(bytes.length), bytes);

/** Twelve bytes of a yamux header. */
export function yamuxHeader(type: number, flags: number, streamId: number, length: number): Uint8Array {
  const header = new Uint8Array(12);
  const view = new DataView(header.buffer);
  header[1] = type;
  view.setUint16(2, flags);
  view.setUint32(4, streamId);
  view.setUint32(8, length);
  return header;
}
