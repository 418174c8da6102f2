import { DataError, OverflowError } from "./errors.ts";
import { type KernelSource, type Kernels, loadKernels } from "./kernels.ts";
import { type LayerLayout, type Layout, planMemory } from "./layout.ts";
import { checkWeights, type IntegerProgram, WEIGHT_BITS } from "./program.ts";

/** Inputs, row-major [samples, features], at the scale of the program's input. */
export type Inputs = Int8Array | Int16Array;

/** Every matrix product of one step or inference, row-major [samples, units]; exact, below 2^53 in magnitude. */
export interface StepTrace {
  /** Z of each layer. */
  readonly products: readonly Float64Array[];
  /** G W^T below each layer but the first: the unrounded gradient of hidden layer i at index i. Empty without labels. */
  readonly gradientProducts: readonly Float64Array[];
  readonly labels?: Uint8Array;
}

/** Runs an integer program. One executor holds one copy of the weights. */
export interface Executor {
  readonly program: IntegerProgram;
  /** Takes weights over (copies them). @throws DataError `BadWeights` */
  load(weights: readonly Int32Array[]): void;
  /** A copy of the weights, one tensor [inputs + 1, outputs] per layer. */
  weights(): Int32Array[];
  /**
   * One training step on a full batch; `x` holds batchSize x features inputs, `y` batchSize labels.
   * @returns the mean cross-entropy in nats before the update, a float for display only
   * @throws OverflowError when a value leaves its width; the weights then are as before
   * @throws DataError `BadBatch`
   */
  step(x: Inputs, y: Uint8Array): { loss: number };
  /**
   * What `step` (with labels) or `logits` (without) computes on the way, for a proof. Changes no weights.
   * @throws OverflowError, DataError
   */
  trace(x: Inputs, count: number, y?: Uint8Array): StepTrace;
  /** Integer logits [count, classes] at the scale of `program.loss.logitScale`. @throws OverflowError, DataError */
  logits(x: Inputs, count: number): Int32Array;
  /** Correct predictions (ties go to the lowest class) and mean cross-entropy of `count` samples. */
  evaluate(x: Inputs, y: Uint8Array, count: number): { correct: number; loss: number };
}

/**
 * Makes an executor. In Node the kernels that set-up built are found; elsewhere pass them.
 * @throws DataError `BadKernels`
 * @example
 * const executor = await createExecutor(program);
 * executor.load(initialWeights(program, seed));
 * const { loss } = executor.step(x, y);
 */
export async function createExecutor(
  program: IntegerProgram,
  options: { kernels?: KernelSource } = {},
): Promise<Executor> {
  const layout = planMemory(program);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(layout.bytes / 65536) });
  const kernels = await loadKernels(options.kernels, memory);
  return new WasmExecutor(program, layout, memory, kernels);
}

function bad(message: string): never {
  throw new DataError("BadBatch", message);
}

class WasmExecutor implements Executor {
  readonly program: IntegerProgram;
  readonly #layout: Layout;
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Kernels;
  #loaded = false;

  constructor(program: IntegerProgram, layout: Layout, memory: WebAssembly.Memory, kernels: Kernels) {
    this.program = program;
    this.#layout = layout;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#ints(layout.exponentials, program.loss.exponentials.length).set(program.loss.exponentials);
  }

  load(weights: readonly Int32Array[]): void {
    checkWeights(this.program, weights);
    this.#layout.layers.forEach(({ layer, n, weights: at }, i) => {
      for (let row = 0; row <= layer.inputs; row++)
        this.#ints(at + 4 * row * n, layer.outputs).set(
          weights[i]!.subarray(row * layer.outputs, (row + 1) * layer.outputs),
        );
    });
    this.#loaded = true;
  }

  weights(): Int32Array[] {
    this.#requireWeights();
    return this.#layout.layers.map(({ layer, n, weights: at }) => {
      const tensor = new Int32Array((layer.inputs + 1) * layer.outputs);
      for (let row = 0; row <= layer.inputs; row++)
        tensor.set(this.#ints(at + 4 * row * n, layer.outputs), row * layer.outputs);
      return tensor;
    });
  }

  step(x: Inputs, y: Uint8Array): { loss: number } {
    this.#requireWeights();
    const { batchSize } = this.program;
    this.#checkSamples(x, y, batchSize);
    this.#forward(x, 0, batchSize);
    const loss = this.#softmax(y, 0, batchSize) / batchSize;
    this.#backward();
    this.#update();
    return { loss };
  }

  trace(x: Inputs, count: number, y?: Uint8Array): StepTrace {
    this.#requireWeights();
    const { layers, rows } = this.#layout;
    const most = y === undefined ? rows : this.program.batchSize;
    if (count > most || (y !== undefined && count !== most)) bad(`${count} samples cannot be traced at once`);
    this.#checkSamples(x, y, count);
    const products: Float64Array[] = [];
    const gradientProducts: Float64Array[] = [];
    this.#forward(x, 0, count, (i) => {
      products[i] = this.#readProducts(count, layers[i]!.n, layers[i]!.layer.outputs);
    });
    if (y === undefined) return { products, gradientProducts };
    this.#softmax(y, 0, count);
    this.#backward((i) => {
      gradientProducts[i - 1] = this.#readProducts(count, layers[i]!.below, layers[i]!.layer.inputs);
    });
    return { products, gradientProducts, labels: y.slice() };
  }

  logits(x: Inputs, count: number): Int32Array {
    this.#requireWeights();
    this.#checkSamples(x, undefined, count);
    const { classes } = this.program.loss;
    const out = new Int32Array(count * classes);
    for (let start = 0; start < count; start += this.#layout.rows) {
      const rows = Math.min(this.#layout.rows, count - start);
      this.#forward(x, start, rows);
      out.set(this.#ints(this.#layout.logits, rows * classes), start * classes);
    }
    return out;
  }

  evaluate(x: Inputs, y: Uint8Array, count: number): { correct: number; loss: number } {
    this.#requireWeights();
    this.#checkSamples(x, y, count);
    const { classes } = this.program.loss;
    let correct = 0;
    let loss = 0;
    for (let start = 0; start < count; start += this.#layout.rows) {
      const rows = Math.min(this.#layout.rows, count - start);
      this.#forward(x, start, rows);
      const z = this.#ints(this.#layout.logits, rows * classes);
      for (let b = 0; b < rows; b++) {
        let best = 0;
        for (let c = 1; c < classes; c++) if (z[b * classes + c]! > z[b * classes + best]!) best = c;
        if (best === y[start + b]) correct++;
      }
      loss += this.#softmax(y, start, rows);
    }
    return { correct, loss: loss / count };
  }

  /** 64-bit products [rows][stride] as numbers [count][units]. */
  #readProducts(count: number, stride: number, units: number): Float64Array {
    const words = new Int32Array(this.#memory.buffer, this.#layout.products, 2 * count * stride);
    const out = new Float64Array(count * units);
    for (let b = 0; b < count; b++)
      for (let u = 0; u < units; u++) {
        const at = 2 * (b * stride + u);
        out[b * units + u] = words[at + 1]! * 2 ** 32 + (words[at]! >>> 0);
      }
    return out;
  }

  /** Logits of the samples from `start`, into `layout.logits`; `seen` may read the products of a layer. */
  #forward(x: Inputs, start: number, count: number, seen?: (layer: number) => void): void {
    const kernels = this.#kernels;
    const { layers, packed, products, logits } = this.#layout;
    const rows = Math.ceil(count / 8) * 8;
    this.#setInput(x, start, count, rows);
    layers.forEach(({ layer, k, n, forwardChunk, weights, input, quotient }, i) => {
      const { shift, bits } = layer.forward;
      kernels.packColumns(weights, packed, k, n);
      kernels.product(input, packed, products, rows, k, n, forwardChunk);
      seen?.(i);
      const next = layers[i + 1];
      const bad =
        next === undefined
          ? kernels.logits(products, logits, count, n, layer.outputs, shift, bits)
          : kernels.relu(
              products,
              quotient,
              next.input,
              count,
              rows,
              n,
              next.k,
              layer.outputs,
              2 ** next.layer.inputScale,
              shift,
              bits,
            );
      if (bad) throw new OverflowError(`outputs of ${layer.name}`, `[-2^${bits}, 2^${bits})`);
    });
  }

  #setInput(x: Inputs, start: number, count: number, rows: number): void {
    const { features } = this.program.input;
    const { raw, layers } = this.#layout;
    const { k, input, layer } = layers[0]!;
    const one = 2 ** layer.inputScale;
    if (x instanceof Int8Array) {
      new Int8Array(this.#memory.buffer, raw, count * features).set(
        x.subarray(start * features, (start + count) * features),
      );
      this.#kernels.widen(raw, input, count, rows, features, k, one);
      return;
    }
    const target = new Int16Array(this.#memory.buffer, input, rows * k).fill(0);
    for (let b = 0; b < count; b++) {
      target.set(x.subarray((start + b) * features, (start + b + 1) * features), b * k);
      target[b * k + features] = one;
    }
  }

  /** Gradient of the logits, into the last layer's `gradient`; returns the sum of the losses (display only). */
  #softmax(y: Uint8Array, start: number, count: number): number {
    const { logits, labels, exponentials, lossTerms, layers } = this.#layout;
    const { classes, probabilityScale, exponentialScale, logitScale, exponentials: table } = this.program.loss;
    const { gradient, n } = layers.at(-1)!;
    new Uint8Array(this.#memory.buffer, labels, count).set(y.subarray(start, start + count));
    this.#kernels.softmax(
      logits,
      labels,
      exponentials,
      table.length,
      gradient,
      lossTerms,
      count,
      n,
      classes,
      probabilityScale,
    );
    const terms = this.#ints(lossTerms, 2 * count);
    let sum = 0;
    for (let b = 0; b < count; b++)
      sum += Math.log(terms[2 * b]! / 2 ** exponentialScale) + terms[2 * b + 1]! / 2 ** logitScale;
    return sum;
  }

  /** Gradients of all hidden layers, from the last to the first; `seen` may read the products below a layer. */
  #backward(seen?: (layer: number) => void): void {
    const kernels = this.#kernels;
    const { layers, packed, products, batchRows } = this.#layout;
    const { batchSize } = this.program;
    const { gradient: top, n: classes } = layers.at(-1)!;
    // An evaluation may have left gradients in the rows that pad the batch.
    new Int16Array(this.#memory.buffer, top + 2 * batchSize * classes, (batchRows - batchSize) * classes).fill(0);
    for (let i = layers.length - 1; i > 0; i--) {
      const { layer, n, below, backwardChunk, weights, gradient } = layers[i]!;
      const under = layers[i - 1]!;
      const { shift, bits } = layer.backward!;
      kernels.packRows(weights, packed, layer.inputs, n);
      kernels.product(gradient, packed, products, batchRows, n, below, backwardChunk);
      seen?.(i);
      if (kernels.reluGradient(products, under.quotient, under.gradient, batchRows, below, shift, bits))
        throw new OverflowError(`gradient of ${under.layer.name}`, `[-2^${bits}, 2^${bits})`);
    }
  }

  /** All weights, or none: a layer that overflows is undone together with those before it. */
  #update(): void {
    const rate = this.program.learningRateInteger;
    const { layers } = this.#layout;
    for (let i = 0; i < layers.length; i++) {
      if (!this.#updateLayer(layers[i]!, rate)) continue;
      for (let undo = i; undo >= 0; undo--) this.#updateLayer(layers[undo]!, -rate);
      throw new OverflowError(`weights of ${layers[i]!.layer.name}`, `(-2^${WEIGHT_BITS}, 2^${WEIGHT_BITS})`);
    }
  }

  #updateLayer({ k, n, input, gradient, weights }: LayerLayout, rate: number): number {
    const { pairedInput, pairedGradient, batchRows } = this.#layout;
    this.#kernels.pairRows(input, pairedInput, batchRows, k);
    this.#kernels.pairRows(gradient, pairedGradient, batchRows, n);
    return this.#kernels.update(pairedInput, pairedGradient, weights, batchRows, k, n, rate);
  }

  #checkSamples(x: Inputs, y: Uint8Array | undefined, count: number): void {
    const { features } = this.program.input;
    const { classes } = this.program.loss;
    if (!Number.isSafeInteger(count) || count < 1) bad(`${count} is not a number of samples`);
    if (!(x instanceof Int8Array) && !(x instanceof Int16Array)) bad("inputs must be 8-bit or 16-bit integers");
    if (x.length !== count * features) bad(`${x.length} inputs instead of ${count} x ${features} (samples x features)`);
    const limit = 2 ** this.program.widths.input;
    if (x instanceof Int16Array || limit < 128)
      for (const value of x)
        if (value >= limit || value < -limit) bad(`the input ${value} is outside [-${limit}, ${limit})`);
    if (y === undefined) return;
    if (!(y instanceof Uint8Array) || y.length !== count) bad(`${y.length} labels for ${count} samples`);
    for (let i = 0; i < count; i++) if (y[i]! >= classes) bad(`label ${y[i]} of sample ${i} is not below ${classes}`);
  }

  #requireWeights(): void {
    if (!this.#loaded)
      throw new DataError("NotLoaded", "the executor has no weights yet", { hint: "Call load first." });
  }

  #ints(at: number, length: number): Int32Array {
    return new Int32Array(this.#memory.buffer, at, length);
  }
}
