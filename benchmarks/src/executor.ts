// The exact integer step against the same step in floating point through ONNX Runtime, on one core.
import { type DataArrays, ModelBuilder, parseModel } from "@skynet/onnx";
import { compileTraining, createExecutor, initialWeights, type IntegerProgram } from "@skynet/proof";
import * as ort from "onnxruntime-node";

const [FEATURES, HIDDEN, CLASSES, BATCH] = [784, 128, 10, 32];
const LEARNING_RATE = 1 / 8;
const WARM_UP = 30;
const REPETITIONS = 60;
const STEPS_PER_REPETITION = 5;

type Float = "float32" | "float64";

/** Multiply-accumulates of one step: forward and weight gradients of both layers, and one backward product. */
const MACS = BATCH * (2 * (FEATURES + 1) * HIDDEN + 2 * (HIDDEN + 1) * CLASSES + HIDDEN * CLASSES);

function program(): IntegerProgram {
  const model = new ModelBuilder({ name: "benchmark" });
  const zeros = (name: string, shape: number[]) =>
    model.constant(name, "float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  const x = model.input("x", "float32", ["batch", FEATURES]);
  const hidden = model.node("Relu", [model.node("Gemm", [x, zeros("w1", [FEATURES, HIDDEN]), zeros("b1", [HIDDEN])])]);
  const z = model.node("Gemm", [hidden, zeros("w2", [HIDDEN, CLASSES]), zeros("b2", [CLASSES])]);
  model.output(z, "logits", "float32", ["batch", CLASSES]);
  return compileTraining(parseModel(model.encode()), { batchSize: BATCH, learningRate: LEARNING_RATE, workers: 4 });
}

/** Forward, softmax cross-entropy, backward and SGD update in one graph of standard operators. */
function floatStep(type: Float): Uint8Array {
  const model = new ModelBuilder({ name: "step" });
  const scalar = (name: string, value: number) => model.constant(name, type, [], floats(type, [value]));
  const x = model.input("x", type, [BATCH, FEATURES]);
  const y = model.input("y", type, [BATCH, CLASSES]);
  const shapes = { w1: [FEATURES, HIDDEN], b1: [HIDDEN], w2: [HIDDEN, CLASSES], b2: [CLASSES] };
  for (const [name, shape] of Object.entries(shapes)) model.input(name, type, shape);
  const rate = scalar("rate", LEARNING_RATE / BATCH);
  const axis = model.constant("axis", "int64", [1], BigInt64Array.of(0n));
  const hidden = model.node("Relu", [model.node("Gemm", [x, "w1", "b1"])]);
  const probabilities = model.node("Softmax", [model.node("Gemm", [hidden, "w2", "b2"])], { axis: -1n });
  const g2 = model.node("Mul", [model.node("Sub", [probabilities, y]), rate]);
  const below = model.node("Gemm", [g2, "w2"], { transB: 1n });
  const on = model.node("Greater", [hidden, scalar("zero", 0)]);
  const g1 = model.node("Where", [on, below, "zero"]);
  const update = (weights: string, bias: string, input: string, gradient: string) => {
    const shape = shapes[weights as keyof typeof shapes];
    const next = model.node("Gemm", [input, gradient, weights], { transA: 1n, alpha: -1, beta: 1 });
    model.output(next, `${weights}_next`, type, shape);
    const sum = model.node("ReduceSum", [gradient, axis], { keepdims: 0n });
    model.output(model.node("Sub", [bias, sum]), `${bias}_next`, type, shape.slice(1));
  };
  update("w1", "b1", x, g1);
  update("w2", "b2", hidden, g2);
  return model.encode();
}

const floats = (type: Float, values: ArrayLike<number>): DataArrays[Float] =>
  type === "float64" ? Float64Array.from(values) : Float32Array.from(values);

/** Returns a function that runs one step and feeds the weights back. */
async function floatRunner(
  type: Float,
  integers: IntegerProgram,
  weights: readonly Int32Array[],
  x: Int8Array,
  y: Uint8Array,
): Promise<() => Promise<Record<string, ort.Tensor>>> {
  const session = await ort.InferenceSession.create(floatStep(type), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  const tensor = (values: ArrayLike<number>, shape: number[]) => new ort.Tensor(type, floats(type, values), shape);
  const real = (layer: number, from: number, to: number) =>
    Float64Array.from(weights[layer]!.subarray(from, to)).map((w) => w / 2 ** integers.layers[layer]!.weightScale);
  const oneHot = new Float64Array(BATCH * CLASSES);
  y.forEach((label, b) => (oneHot[b * CLASSES + label] = 1));
  const feeds: Record<string, ort.Tensor> = {
    x: tensor(
      Float64Array.from(x).map((value) => value / 64),
      [BATCH, FEATURES],
    ),
    y: tensor(oneHot, [BATCH, CLASSES]),
    w1: tensor(real(0, 0, FEATURES * HIDDEN), [FEATURES, HIDDEN]),
    b1: tensor(real(0, FEATURES * HIDDEN, (FEATURES + 1) * HIDDEN), [HIDDEN]),
    w2: tensor(real(1, 0, HIDDEN * CLASSES), [HIDDEN, CLASSES]),
    b2: tensor(real(1, HIDDEN * CLASSES, (HIDDEN + 1) * CLASSES), [CLASSES]),
  };
  return async () => {
    const next = await session.run(feeds);
    for (const name of ["w1", "b1", "w2", "b2"]) feeds[name] = next[`${name}_next`]!;
    return feeds;
  };
}

/**
 * The contestants compute the same: their updates of the first layer have the same length and direction but for the
 * rounding of activations and gradients (the cosine is 0.956 at these scales and goes to 1 with finer ones).
 */
function checkAgreement(before: Int32Array, after: Int32Array, float: ort.Tensor, scale: number): void {
  let [product, own, other] = [0, 0, 0];
  for (let i = 0; i < FEATURES * HIDDEN; i++) {
    const a = (after[i]! - before[i]!) / 2 ** scale;
    const b = Number(float.data[i]) - before[i]! / 2 ** scale;
    product += a * b;
    own += a * a;
    other += b * b;
  }
  const ratio = Math.sqrt(own / other);
  if (product / Math.sqrt(own * other) < 0.9 || ratio < 0.95 || ratio > 1.05)
    throw new Error("the integer step and the floating-point step differ by more than rounding");
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

/** Medians over repetitions that take turns, so that a slow moment of the machine hits all three alike. */
export async function run(): Promise<{
  stepMs: number;
  gmacPerSecond: number;
  ortFloat64StepMs: number;
  ortFloat32StepMs: number;
}> {
  const integers = program();
  const weights = initialWeights(integers, new Uint8Array(32).fill(7));
  const x = Int8Array.from({ length: BATCH * FEATURES }, (_, i) => ((i * 7919) % 65) - 18);
  const y = Uint8Array.from({ length: BATCH }, (_, i) => i % CLASSES);
  const executor = await createExecutor(integers);
  executor.load(weights);
  const contestants = {
    integer: async () => executor.step(x, y),
    float64: await floatRunner("float64", integers, weights, x, y),
    float32: await floatRunner("float32", integers, weights, x, y),
  };
  await contestants.integer();
  const { w1 } = await contestants.float64();
  checkAgreement(weights[0]!, executor.weights()[0]!, w1!, integers.layers[0]!.weightScale);
  const names = Object.keys(contestants) as (keyof typeof contestants)[];
  const times = { integer: [] as number[], float64: [] as number[], float32: [] as number[] };
  for (let repetition = -WARM_UP; repetition < REPETITIONS; repetition++) {
    for (const name of names) {
      const start = performance.now();
      for (let i = 0; i < STEPS_PER_REPETITION; i++) await contestants[name]();
      if (repetition >= 0) times[name].push((performance.now() - start) / STEPS_PER_REPETITION);
    }
  }
  const stepMs = median(times.integer);
  return {
    stepMs,
    gmacPerSecond: MACS / stepMs / 1e6,
    ortFloat64StepMs: median(times.float64),
    ortFloat32StepMs: median(times.float32),
  };
}
