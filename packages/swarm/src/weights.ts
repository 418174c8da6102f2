import { decode, encode } from "@skynet/protocol";
import { z } from "zod";
import { SwarmError } from "./errors.ts";
import type { ModelShape, Weights } from "./ports.ts";
import { bytes } from "./schemas.ts";

const stateSchema = z.array(bytes).min(1).max(1000);

/** One block that holds all weights: DAG-CBOR list of little-endian int32 byte strings. */
export function encodeWeights(weights: Weights): Uint8Array {
  return encode(
    weights.map((tensor) => {
      const view = new DataView(new ArrayBuffer(tensor.byteLength));
      tensor.forEach((value, i) => view.setInt32(4 * i, value, true));
      return new Uint8Array(view.buffer);
    }),
  );
}

/** @throws SwarmError `WrongModel` when the tensors do not have the model's sizes */
export function decodeWeights(shape: ModelShape, block: Uint8Array): Int32Array[] {
  const parsed = stateSchema.safeParse(decode(block));
  const sizes = shape.tensors.map(({ shape: dims }) => dims.reduce((product, dim) => product * dim, 1));
  if (
    !parsed.success ||
    parsed.data.length !== sizes.length ||
    parsed.data.some((part, i) => part.length !== 4 * sizes[i]!)
  )
    throw new SwarmError("WrongModel", "the weights do not have the shapes of the job's model");
  return parsed.data.map((part) => {
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
    return Int32Array.from({ length: part.length / 4 }, (_, i) => view.getInt32(4 * i, true));
  });
}
