export { type Attributes, ModelBuilder, type ModelOptions } from "./build.ts";
export { OnnxError, type OnnxErrorCode } from "./errors.ts";
export type { AttributeValue, DataArrays, DataType, Dimension, Graph, Node, Tensor, Value } from "./graph.ts";
export { MAX_MODEL_BYTES, parseModel, readConstants } from "./parse.ts";
export { supportedOperators } from "./shapes.ts";
