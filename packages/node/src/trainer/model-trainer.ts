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
import { keccak256, SkyNetError, tensorId, toHex, type Hex } from "@skynet/protocol";
import type {
  CommittedWeights,
  Evaluation,
  ModelShape,
  ProvenStep,
  StepHeader,
  TrainingBatch,
  TrainingSettings,
  VerifierCode,
  Weights,
  WeightsIdentity,
} from "@skynet/swarm";
import { createModelProver, type ModelProver } from "./model-prover.ts";
import type { TrainerMethods, TrainerSetup } from "./protocol.ts";

interface Loaded {
  /** Names model and settings, so that loading the same ones again costs nothing. */
  readonly key: string;
  readonly program: IntegerProgram;
  readonly executor: Executor;
  /** Evaluates, so that the weights in training stay where they are. */
  readonly evaluator: Executor;
  /** Of jobs that are proven. */
  readonly prover: ModelProver | undefined;
  readonly shape: ModelShape;
}

/** Trains one model with the exact integer program; commits and proves when the job wants it. */
export class ModelTrainer implements TrainerMethods {
  readonly #setup: TrainerSetup;
  #model: Loaded | undefined;
  /** Where the weights in training were committed last. */
  #mark: CommittedWeights | undefined;

  constructor(setup: TrainerSetup) {
    this.#setup = setup;
  }

  async load(model: Uint8Array, settings: TrainingSettings): Promise<ModelShape> {
    const key = `${toHex(keccak256(model))} ${JSON.stringify(settings)}`;
    if (this.#model?.key === key) return this.#model.shape;
    await this.#model?.prover?.close();
    this.#model = undefined;
    this.#mark = undefined;
    const { batchSize, learningRate, averaging, proof } = settings;
    const program = compileTraining(parseModel(model), { batchSize, learningRate, workers: averaging });
    const executor = await createExecutor(program);
    const evaluator = await createExecutor(program);
    const prover = proof && (await createModelProver(program, proof, this.#setup));
    const { features } = program.input;
    const { classes } = program.loss;
    const shape: ModelShape = { tensors: weightTensors(program), features, classes, proof: prover?.shape };
    this.#model = { key, program, executor, evaluator, prover, shape };
    return shape;
  }

  async initialWeights(seed: Uint8Array): Promise<Weights> {
    return initialWeights(this.#loaded().program, seed);
  }

  async quantise(bytes: Uint8Array): Promise<Int8Array> {
    return quantiseBytes(this.#loaded().program, bytes);
  }

  async setWeights(start: CommittedWeights): Promise<void> {
    this.#loaded().executor.load(start.weights);
    this.#mark = start;
  }

  async step({ x, y }: TrainingBatch): Promise<number> {
    return this.#loaded().executor.step(x, y).loss;
  }

  async weights(): Promise<Weights> {
    return this.#loaded().executor.weights();
  }

  async checkpoint(): Promise<WeightsIdentity> {
    const weights = this.#loaded().executor.weights();
    const identity = await this.identify(weights, this.#mark);
    this.#mark = { weights, points: identity.points };
    return identity;
  }

  async proveStep(header: StepHeader, batch: TrainingBatch): Promise<ProvenStep> {
    const { executor } = this.#loaded();
    const prover = this.#prover();
    await this.checkpoint();
    const before = this.#mark!;
    const trace = executor.trace(batch.x, batch.y.length, batch.y);
    executor.step(batch.x, batch.y);
    const after = executor.weights();
    const { step, points } = await prover.proveStep(header, { before, after, batch, trace });
    this.#mark = { weights: after, points };
    return step;
  }

  verifyStep(header: StepHeader, idIn: Hex, step: ProvenStep): Promise<boolean> {
    return this.#prover().verifyStep(header, idIn, step);
  }

  async identify(weights: Weights, near?: CommittedWeights): Promise<WeightsIdentity> {
    const { program, prover } = this.#loaded();
    if (prover) return prover.identify(weights, near);
    const tensors = weightTensors(program).map(({ shape, scale }, i) => ({ shape, scale, data: weights[i]! }));
    return { id: toHex(tensorId("weights", tensors)), points: new Uint8Array() };
  }

  commitBatches(batches: readonly TrainingBatch[]): Promise<Uint8Array[]> {
    return this.#prover().commitBatches(batches);
  }

  checkBatches(batches: readonly (TrainingBatch & { readonly points: Uint8Array })[]): Promise<void> {
    return this.#prover().checkBatches(batches);
  }

  verifier(): Promise<VerifierCode> {
    return this.#prover().verifier();
  }

  async encodeUpdate(base: Weights, updated: Weights): Promise<Uint8Array> {
    return encodeDelta(this.#loaded().program, base, updated);
  }

  async applyUpdate(base: Weights, update: Uint8Array): Promise<Weights> {
    return decodeDelta(this.#loaded().program, base, update);
  }

  async average(base: Weights, updates: readonly Weights[]): Promise<Weights> {
    return average(this.#loaded().program, base, updates);
  }

  async evaluate(weights: Weights, x: Int8Array, y: Uint8Array): Promise<Evaluation> {
    const { evaluator } = this.#loaded();
    evaluator.load(weights);
    const { correct, loss } = evaluator.evaluate(x, y, y.length);
    return { accuracy: correct / y.length, loss };
  }

  async exportModel(weights: Weights): Promise<Uint8Array> {
    return exportModel(this.#loaded().program, weights);
  }

  #loaded(): Loaded {
    if (!this.#model) throw new SkyNetError("NoModel", "no model is loaded in the trainer");
    return this.#model;
  }

  #prover(): ModelProver {
    const { prover } = this.#loaded();
    if (!prover) throw new SkyNetError("NoProofs", "the model is loaded without a proof system");
    return prover;
  }
}
