import fs from "node:fs/promises";
import path from "node:path";
import { ModelBuilder } from "@skynet/onnx";

const SIDE = 6;
const FEATURES = SIDE * SIDE;
const HIDDEN = 16;
const CLASSES = 4;

export interface TinyJob {
  readonly workers?: number;
  readonly minimum?: number;
  readonly rounds?: number;
  readonly learningRate?: number;
  readonly auditPercent?: number;
  readonly beacon?: "test" | "blockhash";
  readonly stake?: number;
  readonly maxFailedRounds?: number;
  readonly gas?: "own" | "sponsored";
  readonly windows?: Partial<Record<"join" | "ready" | "commit" | "draw" | "prove" | "merge" | "deliver", number>>;
}

/** A model and a circuit whose steps are proven in a third of a second. */
export const tinyModel = (): Uint8Array => perceptron(FEATURES, HIDDEN, CLASSES);

/** An untrained perceptron for bytes. */
export function perceptron(features: number, hiddenUnits: number, classes: number): Uint8Array {
  const model = new ModelBuilder({
    name: "perceptron",
    metadata: { "skynet.input.offset": "73", "skynet.input.divisor": "256" },
  });
  const zeros = (name: string, ...shape: number[]) =>
    model.constant(name, "float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  const image = model.input("image", "float32", ["batch", features]);
  const first = model.node("Gemm", [image, zeros("w1", features, hiddenUnits), zeros("b1", hiddenUnits)]);
  const hidden = model.node("Relu", [first]);
  const last = model.node("Gemm", [hidden, zeros("w2", hiddenUnits, classes), zeros("b2", classes)]);
  model.output(last, "logits", "float32", ["batch", classes]);
  return model.encode();
}

export const tinyCircuit = { tableBits: 9, blockBits: 9 };

/** Images whose class is the brightest quarter, in the IDX format. */
async function writeImages(folder: string, name: string, count: number, seed: number): Promise<void> {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const images = Buffer.alloc(16 + count * FEATURES);
  [0x803, count, SIDE, SIDE].forEach((value, i) => images.writeUInt32BE(value, 4 * i));
  const labels = Buffer.alloc(8 + count);
  [0x801, count].forEach((value, i) => labels.writeUInt32BE(value, 4 * i));
  for (let i = 0; i < count; i++) {
    const label = Math.floor(random() * CLASSES);
    labels[8 + i] = label;
    for (let pixel = 0; pixel < FEATURES; pixel++) {
      const quarter = 2 * Number(pixel >= FEATURES / 2) + Number(pixel % SIDE >= SIDE / 2);
      images[16 + i * FEATURES + pixel] = Math.floor(random() * 120) + (quarter === label ? 90 : 0);
    }
  }
  await fs.writeFile(path.join(folder, `${name}-images`), images);
  await fs.writeFile(path.join(folder, `${name}-labels`), labels);
}

/** A job in proof mode on 320 images of 6 x 6 bytes: rounds of 8 steps in segments of 2; returns the job file's path. */
export async function writeTinyJob(folder: string, options: TinyJob = {}): Promise<string> {
  await fs.mkdir(folder, { recursive: true });
  await writeImages(folder, "train", 320, 1);
  await writeImages(folder, "test", 200, 2);
  await fs.writeFile(path.join(folder, "tiny.onnx"), tinyModel());
  const { workers = 3, minimum = workers, rounds = 2, learningRate = 0.5, stake = 20 } = options;
  const { auditPercent = 100, beacon = "test", maxFailedRounds = 3 } = options;
  const windows = { join: 60, ready: 60, commit: 60, draw: 30, prove: 40, merge: 30, deliver: 30, ...options.windows };
  const file = path.join(folder, "job.yaml");
  await fs.writeFile(
    file,
    `name: tiny
model: tiny.onnx
data:
  train: { inputs: train-images, targets: train-labels }
  test: { inputs: test-images, targets: test-labels }
training: { batchSize: 16, learningRate: ${learningRate}, localSteps: 8, rounds: ${rounds}, seed: 1 }
workers: { count: ${workers}, minimum: ${minimum} }
payment: { pricePerRound: 10, stake: ${stake}, missPenalty: 1, mergeFee: 0.5 }
verification: { segment: 2, auditPercent: ${auditPercent}, beacon: ${beacon}, circuit: ${JSON.stringify(tinyCircuit)} }
windows: ${JSON.stringify(windows)}
maxFailedRounds: ${maxFailedRounds}
gas: ${options.gas ?? "own"}
`,
  );
  return file;
}
