import { decode, encode } from "@skynet/protocol";
import { z } from "zod";
import { SwarmError } from "./errors.ts";
import type { BlindedWeights, ModelShape } from "./ports.ts";
import { bytes } from "./schemas.ts";

const stateSchema = z.strictObject({ weights: z.array(bytes).min(1).max(1000), blinders: bytes });

/** One block that holds all weights, as little-endian int32 byte strings, and the blinders of their commitment. */
export function encodeWeights({ weights, blinders }: BlindedWeights): Uint8Array {
  const tensors = weights.map((tensor) => {
    const view = new DataView(new ArrayBuffer(tensor.byteLength));
    tensor.forEach((value, i) => view.setInt32(4 * i, value, true));
    return new Uint8Array(view.buffer);
  });
  return encode({ weights: tensors, blinders });
}

/**
 * Blinders are taken as they are: who uses them compares the id.
 * @throws SwarmError `WrongModel` when the tensors do not have the model's sizes; InvalidInputError `BadEncoding`
 */
export function decodeWeights(shape: ModelShape, block: Uint8Array): BlindedWeights {
  const { success, data } = stateSchema.safeParse(decode(block));
  const sizes = shape.tensors.map(({ shape: dims }) => dims.reduce((product, dim) => product * dim, 1));
  if (!success || data.weights.length !== sizes.length || data.weights.some((part, i) => part.length !== 4 * sizes[i]!))
    throw new SwarmError("WrongModel", "the weights do not have the shapes of the job's model");
  const weights = data.weights.map((part) => {
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
    return Int32Array.from({ length: part.length / 4 }, (_, i) => view.getInt32(4 * i, true));
  });
  return { weights, blinders: data.blinders };
}
