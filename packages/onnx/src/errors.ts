import { InvalidInputError } from "@skynet/protocol";

/**
 * - `BrokenOnnx`: not an ONNX model, or a model that contradicts itself.
 * - `UnsupportedOperator`: valid, but with operators (or versions, attributes, features) that SkyNet does not train.
 * - `UnsupportedType`: a tensor of an element type that SkyNet does not read.
 * - `OnnxTooLarge`: over a size limit.
 */
export type OnnxErrorCode = "BrokenOnnx" | "UnsupportedOperator" | "UnsupportedType" | "OnnxTooLarge";

/** Every refusal of a model file. */
export class OnnxError extends InvalidInputError {
  declare readonly code: OnnxErrorCode;

  constructor(code: OnnxErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(code, message, options);
  }
}

const BROKEN_HINT = "Export the model again and check it with onnx.checker.check_model.";

/** A `BrokenOnnx` error with the usual hint. */
export function broken(message: string, cause?: unknown): OnnxError {
  return new OnnxError("BrokenOnnx", message, { hint: BROKEN_HINT, cause });
}
