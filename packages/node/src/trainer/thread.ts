// Training thread: executes the integer program, so that networking in the main thread never waits for a step.
import { parentPort } from "node:worker_threads";
import { parseModel } from "@skynet/onnx";
import {
  average,
  compileTraining,
  createExecutor,
  decodeDelta,
  encodeDelta,
  exportModel,
  initialWeights,
  quantiseBytes,
  weightTensors,
  type Executor,
  type IntegerProgram,
} from "@skynet/proof";
import { SkyNetError, tensorId, toHex } from "@skynet/protocol";
import type { TrainerCalls, TrainerMethod, TrainerRequest, TrainerResponse } from "./protocol.ts";

let program: IntegerProgram | undefined;
let executor: Executor | undefined;
/** Evaluates, so that the weights in training stay where they are. */
let evaluator: Executor | undefined;

function loaded(): { program: IntegerProgram; executor: Executor } {
  if (!program || !executor) throw new SkyNetError("NoModel", "no model is loaded in the trainer");
  return { program, executor };
}

const methods: { [Method in TrainerMethod]: (...args: TrainerCalls[Method][0]) => Promise<TrainerCalls[Method][1]> } = {
  async load(model, settings) {
    program = compileTraining(parseModel(model), {
      batchSize: settings.batchSize,
      learningRate: settings.learningRate,
      workers: settings.averaging,
    });
    executor = await createExecutor(program);
    evaluator = await createExecutor(program);
    return { tensors: weightTensors(program), features: program.input.features, classes: program.loss.classes };
  },
  initialWeights: async (seed) => initialWeights(loaded().program, seed),
  quantise: async (bytes) => quantiseBytes(loaded().program, bytes),
  setWeights: async (weights) => loaded().executor.load(weights),
  step: async ({ x, y }) => loaded().executor.step(x, y).loss,
  weights: async () => loaded().executor.weights(),
  id: async (weights) =>
    toHex(
      tensorId(
        "weights",
        weightTensors(loaded().program).map(({ shape, scale }, i) => ({ shape, scale, data: weights[i]! })),
      ),
    ),
  encodeUpdate: async (base, updated) => encodeDelta(loaded().program, base, updated),
  applyUpdate: async (base, update) => decodeDelta(loaded().program, base, update),
  average: async (base, updates) => average(loaded().program, base, updates),
  async evaluate(weights, x, y) {
    const executor = evaluator ?? loaded().executor;
    executor.load(weights);
    const { correct, loss } = executor.evaluate(x, y, y.length);
    return { accuracy: correct / y.length, loss };
  },
  exportModel: async (weights) => exportModel(loaded().program, weights),
};

parentPort?.on("message", ({ id, method, args }: TrainerRequest) => {
  const call = methods[method] as (...args: readonly unknown[]) => Promise<unknown>;
  call(...args).then(
    (result) => parentPort?.postMessage({ id, result } satisfies TrainerResponse),
    (error: unknown) => parentPort?.postMessage({ id, error: describe(error) } satisfies TrainerResponse),
  );
});

function describe(error: unknown) {
  if (error instanceof SkyNetError) return { code: error.code, message: error.message, hint: error.hint };
  return { code: "TrainerFailed", message: String(error), hint: undefined };
}
