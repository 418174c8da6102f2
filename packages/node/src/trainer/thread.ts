// Training thread: executes the integer program, so that networking in the main thread never waits for a step.
import { parentPort } from "node:worker_threads";
import { parseModel } from "@skynet/onnx";
import {
  compileTraining,
  createExecutor,
  exportModel,
  initialWeights,
  weightTensors,
  type Executor,
  type IntegerProgram,
} from "@skynet/proof";
import { SkyNetError } from "@skynet/protocol";
import type { TrainerCalls, TrainerMethod, TrainerRequest, TrainerResponse } from "./protocol.ts";

let program: IntegerProgram | undefined;
let executor: Executor | undefined;

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
    return { tensors: weightTensors(program), features: program.input.features, classes: program.loss.classes };
  },
  initialWeights: async (seed) => initialWeights(loaded().program, seed),
  setWeights: async (weights) => loaded().executor.load(weights),
  step: async ({ x, y }) => loaded().executor.step(x, y).loss,
  weights: async () => loaded().executor.weights(),
  async evaluate(weights, x, y) {
    const { executor } = loaded();
    const current = executor.weights();
    executor.load(weights);
    const { correct, loss } = executor.evaluate(x, y, y.length);
    executor.load(current);
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
  if (error instanceof SkyNetError)
    return { name: error.name, code: error.code, message: error.message, hint: error.hint };
  return { name: "Error", code: "TrainerFailed", message: String(error), hint: undefined };
}
