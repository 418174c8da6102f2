import {
  BLINDER_BYTES,
  createExecutor,
  decodeBlinders,
  deriveBlinders,
  encodeBlinders,
  initialWeights,
  quantiseBytes,
  weightTensors,
  type Executor,
  type IntegerProgram,
} from "@skynet/proof";
import { concatBytes, equalBytes, keccak256, SkyNetError, tensorId, toHex, type Hex } from "@skynet/protocol";
import type { BlindedWeights, DatasetBatch, ModelShape, RoundStart, Trainer, TrainingBatch, Weights } from "./ports.ts";
import type { SimulatedVerifier } from "./simulated-verifier.ts";
import { averageUpdates, decodeUpdate, encodeUpdate } from "./update.ts";
import { decodeWeights, encodeWeights } from "./weights.ts";

/** Blocks of a commitment to weights in simulations. */
const BLOCKS = 2;
export const NO_BLINDERS = new Uint8Array(BLOCKS * BLINDER_BYTES);

/** Id of weights in simulations; as of a commitment, other blinders make another id. */
export function idOf(program: IntegerProgram, { weights, blinders }: BlindedWeights): Hex {
  const tensors = weightTensors(program).map(({ shape, scale }, i) => ({ shape, scale, data: weights[i]! }));
  return toHex(keccak256(tensorId("weights", tensors), blinders));
}

/** Stands for the points of a batch without blinders. */
function plainIdOf({ x, y }: TrainingBatch): Uint8Array {
  return tensorId("batch", [
    { shape: [y.length, x.length / y.length], scale: 0, data: x },
    { shape: [y.length], scale: 0, data: y },
  ]);
}

const blindId = (plain: Uint8Array, { index, secret }: DatasetBatch): Uint8Array =>
  keccak256(plain, encodeBlinders(deriveBlinders(secret, ["batch", index], 1)));

/** Id of a batch in simulations. */
export const batchIdOf = (batch: DatasetBatch): Uint8Array => blindId(plainIdOf(batch), batch);

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
 * The real executor in the calling thread: one short method for each of the port. Its "points" are the weights themselves
 * with their blinders, and its proof of a step is its witness, see {@link SimulatedVerifier}.
 */
export async function localTrainer(
  program: IntegerProgram,
  { afterStep }: { afterStep?: AfterStep } = {},
): Promise<Trainer & { program: IntegerProgram }> {
  const executor = await createExecutor(program);
  const evaluator = await createExecutor(program);
  let start: RoundStart | undefined;
  let done = 0;
  const identify = async (weights: Weights, encoded: Uint8Array = NO_BLINDERS) => {
    const blinded = { weights, blinders: encodeBlinders(decodeBlinders(encoded, BLOCKS)) };
    return { id: idOf(program, blinded), points: encodeWeights(blinded), blinders: blinded.blinders };
  };
  const present = (): BlindedWeights => ({
    weights: executor.weights(),
    blinders: done === 0 ? start!.blinders : encodeBlinders(deriveBlinders(start!.secret, ["weights", done], BLOCKS)),
  });
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
    setWeights: async (from) => {
      executor.load(from.weights);
      start = from;
      done = 0;
    },
    step: async (batch) => step(batch),
    weights: async () => executor.weights(),
    checkpoint: async () => {
      const { weights, blinders } = present();
      return identify(weights, blinders);
    },
    proveStep: async (_header, batch) => {
      const before = encodeWeights(present());
      step(batch);
      const after = present();
      const proof = concatBytes(before, after.blinders);
      return { idEnd: idOf(program, after), batchLeaf: toHex(batchIdOf(batch)), proof };
    },
    verifyStep: async (_header, idIn, { proof }) => {
      try {
        return idOf(program, stepOf(program, proof).before) === idIn;
      } catch {
        return false;
      }
    },
    identify,
    commitBatches: async (batches) => batches.map(plainIdOf),
    blindBatches: async (batches) => batches.map((batch) => blindId(batch.points, batch)),
    checkBatches: async (batches) => {
      if (!batches.every((batch) => equalBytes(batchIdOf(batch), batch.points)))
        throw new SkyNetError("BadBatch", "a batch is not the one behind its points");
    },
    verifier: async () => ({ source: "", initcode: "0x", runtime: "0x" }),
    encodeUpdate: async (base, updated) => encodeUpdate(program, base, updated),
    applyUpdate: async (base, update) => decodeUpdate(program, BLOCKS, base, update),
    average: async (base, updates) => averageUpdates(program, BLOCKS, base, updates),
    evaluate: async (weights, x, y) => {
      evaluator.load(weights);
      const { correct, loss } = evaluator.evaluate(x, y, y.length);
      return { accuracy: correct / y.length, loss };
    },
    exportModel: async () => new Uint8Array(),
    close: async () => undefined,
  };
}

/** The witness that stands for a proof: the state before the step, and the blinders after it. */
function stepOf(program: IntegerProgram, proof: Uint8Array): { before: BlindedWeights; blinders: Uint8Array } {
  const size = proof.length - NO_BLINDERS.length;
  return { before: decodeWeights(shapeOf(program), proof.subarray(0, size)), blinders: proof.subarray(size) };
}

/** Checks steps by doing them again, on the data that the dataset's root stands for. */
export function recomputingVerifier(
  program: IntegerProgram,
  executor: Executor,
  data: readonly TrainingBatch[],
): SimulatedVerifier {
  const decoded = (points: Uint8Array): BlindedWeights => decodeWeights(shapeOf(program), points);
  return {
    idOf: (points) => idOf(program, decoded(points)),
    average: (base, updates) => idOf(program, averageUpdates(program, BLOCKS, decoded(base), updates.map(decoded))),
    isStep: (idIn, idOut, batch, proof) => {
      const { before, blinders } = stepOf(program, proof);
      if (idOf(program, before) !== idIn) return false;
      executor.load(before.weights);
      executor.step(data[batch]!.x, data[batch]!.y);
      return idOf(program, { weights: executor.weights(), blinders }) === idOut;
    },
  };
}
