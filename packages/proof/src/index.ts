export { architectureOf, programOf } from "./architecture.ts";
export { inferenceCircuit, stepCircuit } from "./circuit/build.ts";
export type { Circuit, CircuitSettings } from "./circuit/circuit.ts";
export { type CircuitReport, reportCircuit, sizeOfProof } from "./circuit/report.ts";
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
export { createExecutor, type Executor, type Inputs, type StepTrace } from "./executor.ts";
export { exportModel } from "./export.ts";
export {
  averageBlinders,
  blindAll,
  BLINDER_BYTES,
  type Blinders,
  decodeBlinders,
  deriveBlinders,
  encodeBlinders,
  noBlinders,
} from "./hiding/blinders.ts";
export { initialWeights } from "./initial-weights.ts";
export { type InferenceModel, readInferenceModel } from "./inference-model.ts";
export type { KernelSource } from "./kernels.ts";
export { average, averageCommitments, decodeDelta, deltaBytes, encodeDelta } from "./merge.ts";
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
export type { CommittedBatch } from "./prove/batch-check.ts";
export {
  type Commitment,
  createProofSystem,
  type Header,
  type InferenceProof,
  type InferenceWitness,
  ProofSystem,
  type ProofSystemOptions,
  type StepProof,
  type StepWitness,
  type StringPart,
} from "./prove/system.ts";
export type { ProofKey } from "./script/key.ts";
export { CHECKS, Rejection } from "./script/rejection.ts";
export { decodeLogits, encodeLogits, inputId, type StatementHeader } from "./script/statement.ts";
export { type CompiledVerifier, compilerInput, compileVerifier } from "./solidity/compile.ts";
export { generateVerifier } from "./solidity/generate.ts";
export { createDevelopmentString, type DevelopmentOptions } from "./srs/development.ts";
export { DEVELOPMENT_SEED } from "./srs/tau.ts";
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
export {
  decodePoint,
  encodePoint,
  GENERATOR,
  isInfinity,
  isOnCurve,
  multiplySecret,
  type Point,
  type PointG2,
} from "./field/curve.ts";
export { P as CURVE_ORDER } from "./field/fr.ts";
export { verify } from "./verify/verify.ts";
