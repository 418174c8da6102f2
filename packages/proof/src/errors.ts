import { InvalidInputError, SkyNetError } from "@skynet/protocol";

/** Why a model or its training settings cannot become an integer program. */
export type CompileErrorCode = "UnsupportedModel" | "BadSetting" | "WidthsDoNotFit";

export class CompileError extends InvalidInputError {
  declare readonly code: CompileErrorCode;

  constructor(code: CompileErrorCode, message: string, options: { hint?: string } = {}) {
    super(code, message, options);
  }
}

/** Why data handed to the executor, to the merge or to the proof system is refused. */
export type DataErrorCode =
  | "BadWeights"
  | "BadBatch"
  | "BadSeed"
  | "BadDelta"
  | "BadBlinders"
  | "NotLoaded"
  | "BadKernels"
  | "BadReferenceString"
  | "BadPtau";

export class DataError extends InvalidInputError {
  declare readonly code: DataErrorCode;

  constructor(code: DataErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(code, message, options);
  }
}

/**
 * An honest value left its enforced width: the worker abstains from the round (it is not at fault). `tensor` names the
 * value, for example `weights of gemm_1`.
 */
export class OverflowError extends SkyNetError {
  readonly tensor: string;

  constructor(tensor: string, limit: string) {
    super("Overflow", `${tensor} outside ${limit}`, {
      hint: "Training has become unstable: use a smaller learning rate, or check that the inputs are centred.",
    });
    this.tensor = tensor;
  }
}

/** Why an operation of the proof system stops. */
export type ProofErrorCode =
  | "OutOfMemory"
  | "WorkerFailed"
  | "BadPoint"
  | "BadVector"
  | "InsecureReferenceString"
  | "RepeatedRandomness";

export class ProofError extends SkyNetError {
  declare readonly code: ProofErrorCode;

  constructor(code: ProofErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(code, message, options);
  }
}
