import { padded, spillLength } from "./intervals.ts";
import type { DenseLayer, IntegerProgram } from "./program.ts";

/** Rows that one evaluation pass takes at least. */
const EVALUATION_ROWS = 64;

/** Where the tensors of a layer lie (byte offsets) and its padded sizes. */
export interface LayerLayout {
  readonly layer: DenseLayer;
  /** Padded inputs + 1 (bias), padded outputs, padded inputs. */
  readonly k: number;
  readonly n: number;
  readonly below: number;
  /** Terms of a 32-bit sum, forward and backward. */
  readonly forwardChunk: number;
  readonly backwardChunk: number;
  /** W i32 [k][n], A i16 [rows][k], Q i16 [rows][n], G i16 [rows][n]. */
  readonly weights: number;
  readonly input: number;
  readonly quotient: number;
  readonly gradient: number;
}

/** Linear memory of an executor. */
export interface Layout {
  /** Padded batch size; most rows of one forward pass. */
  readonly batchRows: number;
  readonly rows: number;
  readonly layers: readonly LayerLayout[];
  /** Raw i8 inputs, labels u8, exponentials i32, logits i32 [rows][classes], loss terms i32 [rows][2]. */
  readonly raw: number;
  readonly labels: number;
  readonly exponentials: number;
  readonly logits: number;
  readonly lossTerms: number;
  /** Scratch: packed weights, 64-bit products [rows][max], paired rows of inputs and of gradients. */
  readonly packed: number;
  readonly products: number;
  readonly pairedInput: number;
  readonly pairedGradient: number;
  readonly bytes: number;
}

/** Places all tensors; memory below the first page stays free for the kernels' own use. */
export function planMemory(program: IntegerProgram): Layout {
  let top = 65536;
  const allocate = (bytes: number): number => {
    const start = top;
    top += Math.ceil((bytes + 16) / 64) * 64;
    return start;
  };
  const batchRows = padded(program.batchSize);
  const rows = Math.max(batchRows, EVALUATION_ROWS);
  const layers = program.layers.map((layer): LayerLayout => {
    const k = padded(layer.inputs + 1);
    const n = padded(layer.outputs);
    return {
      layer,
      k,
      n,
      below: padded(layer.inputs),
      forwardChunk: spillLength(layer.inputLimit),
      backwardChunk: spillLength(layer.gradientLimit),
      weights: allocate(4 * k * n),
      input: allocate(2 * rows * k),
      quotient: allocate(2 * rows * n),
      gradient: allocate(2 * rows * n),
    };
  });
  const largest = (measure: (layer: LayerLayout) => number): number => Math.max(...layers.map(measure));
  return {
    batchRows,
    rows,
    layers,
    raw: allocate(rows * program.input.features),
    labels: allocate(rows),
    exponentials: allocate(4 * program.loss.exponentials.length),
    logits: allocate(4 * rows * program.loss.classes),
    lossTerms: allocate(8 * rows),
    packed: allocate(largest(({ k, n }) => 4 * k * n)),
    products: allocate(8 * rows * largest(({ n, below }) => Math.max(n, below))),
    pairedInput: allocate(2 * batchRows * largest(({ k }) => k)),
    pairedGradient: allocate(2 * batchRows * largest(({ n }) => n)),
    bytes: top,
  };
}
