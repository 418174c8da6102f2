import type { IntegerProgram } from "../program.ts";

/**
 * The relations that one proof shows, as plain data. The protocol script, the provers, the verifiers, the Solidity
 * generator and the report all read this one description.
 *
 * Cells. Values of one layer form a table with one cell per sample b and unit x. Its index is b + 2^batchVars x, least
 * significant bit first; sizes that are not powers of two are padded. Cells with b < batch and x < units are real.
 */
export interface Circuit {
  readonly statement: "step" | "inference";
  readonly program: IntegerProgram;
  readonly settings: CircuitSettings;
  readonly batch: number;
  readonly batchVars: number;
  readonly layers: readonly LayerCircuit[];
  /** Committed tensors in the order in which their commitments are absorbed and opened. */
  readonly tensors: readonly TensorLayout[];
  readonly slots: ReadonlyMap<string, Slot>;
  readonly lookups: readonly Lookup[];
  readonly products: readonly ProductGroup[];
  readonly linear: readonly LinearRelation[];
  readonly contractions: readonly Contraction[];
  /** Gradient of each layer's outputs (steps), and the logits (inference). */
  readonly gradients: readonly Form[];
  readonly output: Form | null;
  /** The randomness of a hiding proof; null where nothing is hidden. */
  readonly pads: PadLayout | null;
  /** Variables of the zerocheck, of the contraction sumcheck, of the claim sumcheck, and coordinates of its point r. */
  readonly zerocheckVars: number;
  readonly contractionVars: number;
  readonly claimVars: number;
  readonly pointVars: number;
}

/** Choices beside the integer program; they are part of the circuit's hash. */
export interface CircuitSettings {
  /** log2 of the block length L of commitments. */
  readonly blockBits: number;
  /** log2 of the range table: range checks work on digits of this many bits. */
  readonly tableBits: number;
  /** Inference only: whether the values are in the proof or behind a commitment. */
  readonly input: "public" | "committed";
  readonly output: "public" | "committed";
  /** Whether proofs and commitments are zero-knowledge. Without it a proof is good for development chains only. */
  readonly hiding: boolean;
}

/** One fully connected layer. */
export interface LayerCircuit {
  readonly inputs: number;
  readonly outputs: number;
  /** Variables of the input index, which covers the bias row, and of the output index. */
  readonly rowVars: number;
  readonly columnVars: number;
  /** Row of the biases: behind the inputs in the first layer, at a power of two in the others. */
  readonly biasRow: number;
  readonly forward: Division;
  readonly backward: Division | null;
}

/**
 * A division by 2^shift as the relation `scale (Z + 2^(shift - 1)) = 2^(digits T) Q + R` with scale = 2^(digits T -
 * shift): R has whole digits of T bits, Q is floor((Z + 2^(shift - 1)) / 2^shift) exactly, and both are ranged.
 */
export interface Division {
  readonly shift: number;
  readonly digits: number;
  readonly scale: bigint;
  readonly quotientDigits: number;
}

/** `pads`, `mask` and `blind` hold the randomness of a hiding proof. */
export type TensorName =
  | "weights"
  | "next"
  | "batch"
  | "output"
  | "exponentials"
  | "ranged"
  | "auxiliary"
  | "helpers"
  | "pads"
  | "mask"
  | "blind";

/**
 * The tensor `pads`: 2^vars uniform cells of one block. Slots `pads.left`, `pads.right` and `pads.product` hold a pair of
 * pads for each product of two hidden values, and what the two pads multiply to; one more pair is the spare one. The pads
 * of single scalars follow, each is used once. The last cell is spare.
 */
export interface PadLayout {
  readonly vars: number;
  /** log2 of the pairs. */
  readonly productVars: number;
  readonly products: number;
  /** First pad of a single scalar, and how many there are. */
  readonly first: number;
  readonly count: number;
}

export interface TensorLayout {
  readonly name: TensorName;
  /** Who commits: the statement names it, the key holds it, or the prover sends it. */
  readonly source: "statement" | "key" | "prover";
  /** At least `blockBits`. */
  readonly vars: number;
  /** Cells up to the last that can be non-zero. */
  readonly used: number;
  /** Blocks that are committed; those behind `used` do not exist. */
  readonly blocks: number;
}

/** An aligned range of 2^vars cells of a tensor. */
export interface Slot {
  readonly tensor: TensorName;
  readonly offset: number;
  readonly vars: number;
}

/** Which table of cells: a hidden layer by its number, or the classes. */
export interface Cells {
  readonly layer: number;
  /** log2 of the padded number of units. */
  readonly unitVars: number;
  readonly units: number;
}

/**
 * Part of a linear form over cells:
 * - `cell`: the slot's own value;
 * - `masked`: the slot's value times the indicator of real cells (b < batch and x < units);
 * - `row`: a slot with one value per sample, times the indicator of real units;
 * - `rowSum`, `paddedSum`: the sum of the slot over the real units, or over all units, of the sample.
 */
export interface FormTerm {
  readonly kind: "cell" | "masked" | "row" | "rowSum" | "paddedSum";
  readonly slot: string;
  readonly coefficient: bigint;
}

/** A linear form over cells: terms, a constant in every cell and one in the cells of real samples. */
export interface Form {
  readonly terms: readonly FormTerm[];
  readonly everywhere: bigint;
  readonly realSamples: bigint;
}

/** Relations `factor right + rest = 0` in every cell that share one factor. */
export interface ProductGroup {
  readonly name: string;
  readonly cells: Cells;
  readonly factor: Form;
  readonly parts: readonly { readonly name: string; readonly right: Form; readonly rest: Form }[];
}

/**
 * Lookups by sums of inverses (LogUp with committed helpers, ePrint 2022/1530). A helper stands for `lanes` values: it
 * is the sum of numerator / (alpha - fingerprint) over the lanes, and all helpers add up to zero.
 * - `range`: all digits of the tensor `ranged`, four lanes by the top two variables;
 * - `rangeTable`: 0 ... 2^T - 1 with the negated multiplicities as numerators, four lanes;
 * - `pairs`: (u, e) of every class cell, one lane; fingerprint u + beta e + beta^2;
 * - `pairTable`: (t, exponentials[t]), two lanes by the top variable.
 */
export interface Lookup {
  readonly kind: "range" | "rangeTable" | "pairs" | "pairTable";
  /** Variables of the helper. */
  readonly vars: number;
  readonly lanes: 1 | 2 | 4;
  readonly helper: string;
  /** Slot of the values (range) or of the multiplicities (tables). */
  readonly slot: string;
}

/** A linear form that is zero in every cell. */
export interface LinearRelation {
  readonly name: string;
  readonly cells: Cells;
  readonly form: Form;
}

/**
 * A sum over one index of a product of two tables. `form` says what the sum equals after a division; for updates it is
 * the weights' change, taken at fresh coordinates.
 */
export interface Contraction {
  readonly name: string;
  readonly kind: "forward" | "backward" | "update";
  readonly layer: number;
  /** Variables of the index that is summed over. */
  readonly vars: number;
  /** Factor of the sum in the relation. */
  readonly coefficient: bigint;
  /** Forward and backward: coefficient sum = form. */
  readonly cells: Cells | null;
  readonly form: Form | null;
}
