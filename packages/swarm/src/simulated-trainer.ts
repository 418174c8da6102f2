import {
  average,
  createExecutor,
  decodeDelta,
  encodeDelta,
  initialWeights,
  quantiseBytes,
  weightTensors,
  type Executor,
  type IntegerProgram,
} from "@skynet/proof";
import { equalBytes, SkyNetError, tensorId, toHex, type Hex } from "@skynet/protocol";
import type { ModelShape, Trainer, TrainingBatch, Weights } from "./ports.ts";
import type { SimulatedVerifier } from "./simulated-verifier.ts";
import { decodeWeights, encodeWeights } from "./weights.ts";

/** Id of weights in quorum mode, and in every simulation. */
export function idOf(program: IntegerProgram, weights: Weights): Hex {
  const tensors = weightTensors(program).map(({ shape, scale }, i) => ({ shape, scale, data: weights[i]! }));
  return toHex(tensorId("weights", tensors));
}

/** Id of a batch in simulations. */
export function batchIdOf({ x, y }: TrainingBatch): Uint8Array {
  return tensorId("batch", [
    { shape: [y.length, x.length / y.length], scale: 0, data: x },
    { shape: [y.length], scale: 0, data: y },
  ]);
}

export function shapeOf(program: IntegerProgram): ModelShape {
  return {
    tensors: weightTensors(program),
    features: program.input.features,
    classes: program.loss.classes,
  };
}

/** What a worker of a simulation does after each of its steps; a cheat changes the weights. */
export type AfterStep = (step: number, weights: readonly Int32Array[]) => void;

/**
 * The real executor in the calling thread. Its "points" are the weights themselves and its proof of a step is the state
 * before the step, see {@link SimulatedVerifier}.
 */
export async function localTrainer(
  program: IntegerProgram,
  { afterStep }: { afterStep?: AfterStep } = {},
): Promise<Trainer & { program: IntegerProgram }> {
  const executor = await createExecutor(program);
  const evaluator = await createExecutor(program);
  let done = 0;
  const identify = async (weights: Weights) => ({ id: idOf(program, weights), points: encodeWeights(weights) });
  const step = ({ x, y }: TrainingBatch): number => {
    const { loss } = executor.step(x, y);
    if (afterStep) {
      const weights = executor.weights();
      afterStep(done, weights);
      executor.load(weights);
    }
    done++;
    return loss;
  };
  return {
    program,
    load: async () => shapeOf(program),
    initialWeights: async (seed) => initialWeights(program, seed),
    quantise: async (bytes) => quantiseBytes(program, bytes),
    setWeights: async ({ weights }) => {
      executor.load(weights);
      done = 0;
    },
    step: async (batch) => step(batch),
    weights: async () => executor.weights(),
    checkpoint: async () => identify(executor.weights()),
    proveStep: async (_header, batch) => {
      const proof = encodeWeights(executor.weights());
      step(batch);
      return { idEnd: idOf(program, executor.weights()), batchLeaf: toHex(batchIdOf(batch)), proof };
    },
    verifyStep: async (_header, idIn, { proof }) => {
      try {
        return idOf(program, decodeWeights(shapeOf(program), proof)) === idIn;
      } catch {
        return false;
      }
    },
    identify,
    commitBatches: async (batches) => batches.map(batchIdOf),
    checkBatches: async (batches) => {
      if (!batches.every((batch) => equalBytes(batchIdOf(batch), batch.points)))
        throw new SkyNetError("BadBatch", "a batch is not the one behind its points");
    },
    verifier: async () => ({ source: "", initcode: "0x", runtime: "0x" }),
    encodeUpdate: async (base, updated) => encodeDelta(program, base, updated),
    applyUpdate: async (base, update) => decodeDelta(program, base, update),
    average: async (base, updates) => average(program, base, updates),
    evaluate: async (weights, x, y) => {
      evaluator.load(weights);
      const { correct, loss } = evaluator.evaluate(x, y, y.length);
      return { accuracy: correct / y.length, loss };
    },
    exportModel: async () => new Uint8Array(),
    close: async () => undefined,
  };
}

/** Checks steps by doing them again, on the data that the dataset's root stands for. */
export function recomputingVerifier(
  program: IntegerProgram,
  executor: Executor,
  data: readonly TrainingBatch[],
): SimulatedVerifier {
  const decoded = (points: Uint8Array): Int32Array[] => decodeWeights(shapeOf(program), points);
  return {
    idOf: (points) => idOf(program, decoded(points)),
    average: (base, updates) => idOf(program, average(program, decoded(base), updates.map(decoded))),
    isStep: (idIn, idOut, batch, proof) => {
      const before = decoded(proof);
      if (idOf(program, before) !== idIn) return false;
      executor.load(before);
      executor.step(data[batch]!.x, data[batch]!.y);
      return idOf(program, executor.weights()) === idOut;
    },
  };
}
