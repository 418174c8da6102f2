export { compileTraining, type TrainingSettings } from "./compile.ts";
export {
  CompileError,
  type CompileErrorCode,
  DataError,
  type DataErrorCode,
  OverflowError,
  ProofError,
  type ProofErrorCode,
} from "./errors.ts";
export { createExecutor, type Executor, type Inputs } from "./executor.ts";
export { exportModel } from "./export.ts";
export { decodePoint, encodePoint, type Point, type PointG2 } from "./field/curve.ts";
export { initialWeights } from "./initial-weights.ts";
export type { KernelSource } from "./kernels.ts";
export { average, decodeDelta, deltaBytes, encodeDelta } from "./merge.ts";
export {
  defaultScales,
  defaultWidths,
  type DenseLayer,
  type InputNormalisation,
  type IntegerProgram,
  quantiseBytes,
  type Requantisation,
  type Scales,
  type SoftmaxCrossEntropy,
  WEIGHT_BITS,
  type WeightTensor,
  weightTensors,
  type Widths,
} from "./program.ts";
export { createDevelopmentString, DEVELOPMENT_SEED, type DevelopmentOptions } from "./srs/development.ts";
export { importPtau, type PtauOptions, type PtauSource } from "./srs/ptau.ts";
export {
  assertUsable,
  decodeReferenceString,
  encodeReferenceString,
  MOST_BLOCK_BITS,
  type Origin,
  prefixOf,
  type ReferenceString,
} from "./srs/reference-string.ts";
export { type Committer, type CommitOptions, createCommitter, type CommitterOptions } from "./vectors/committer.ts";
export { FieldVectors, type Term, type Vector } from "./vectors/field-vectors.ts";
export type { Scalars } from "./vectors/multiexp.ts";
