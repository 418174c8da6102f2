import { readConstants } from "@skynet/onnx";
import { schemaSchema, type DatasetSchema } from "@skynet/storage";

/** Metadata of an ONNX file that say how a row of the data becomes the inputs of the model. */
const KEY = "skynet.dataset";

/** The metadata of a model that was trained on this; none for bytes, which the model itself says how to take. */
export function datasetMetadata(schema: DatasetSchema): Record<string, string> {
  const isBytes = schema.inputs.every((input) => input.kind === "tensor" && input.dtype === "uint8");
  return isBytes ? {} : { [KEY]: JSON.stringify(schema) };
}

/** What the model says of its data; undefined when it says nothing, or something that is not understood. */
export function datasetOf(onnx: Uint8Array): DatasetSchema | undefined {
  const text = readConstants(onnx).metadata.get(KEY);
  if (text === undefined) return undefined;
  try {
    return schemaSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
