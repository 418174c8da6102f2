import { parseModel } from "@skynet/onnx";
import {
  compileTraining,
  createExecutor,
  DataError,
  exportModel,
  initialWeights,
  quantiseBytes,
  weightTensors,
  type Executor,
  type IntegerProgram,
} from "@skynet/proof";
import { keccak256, SkyNetError, tensorId, toHex, type Hex } from "@skynet/protocol";
import {
  averageUpdates,
  type BlindedWeights,
  type CommittedBatch,
  type CommittedWeights,
  type DatasetBatch,
  decodeUpdate,
  encodeUpdate,
  type Evaluation,
  type ModelShape,
  type ProvenStep,
  type RoundStart,
  type StepHeader,
  type TrainingBatch,
  type TrainingSettings,
  type VerifierCode,
  type Weights,
  type WeightsIdentity,
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

/** What the trainer knows of the round in training. */
interface Training {
  readonly start: RoundStart;
  /** Steps since the start. */
  done: number;
  /** Where the weights were committed last. */
  mark: CommittedWeights;
}

/** Trains one model with the exact integer program; commits and proves when the job wants it. */
export class ModelTrainer implements TrainerMethods {
  readonly #setup: TrainerSetup;
  #model: Loaded | undefined;
  #training: Training | undefined;

  constructor(setup: TrainerSetup) {
    this.#setup = setup;
  }

  async load(model: Uint8Array, settings: TrainingSettings): Promise<ModelShape> {
    const key = `${toHex(keccak256(model))} ${JSON.stringify(settings)}`;
    if (this.#model?.key === key) return this.#model.shape;
    await this.#model?.prover?.close();
    this.#model = undefined;
    this.#training = undefined;
    const { batchSize, learningRate, averaging, proof } = settings;
    const program = compileTraining(parseModel(model), { batchSize, learningRate, workers: averaging });
    const executor = await createExecutor(program);
    const evaluator = await createExecutor(program);
    const prover = proof && (await createModelProver(program, proof, this.#setup));
    const { features, normalisation } = program.input;
    const { classes } = program.loss;
    const shape: ModelShape = {
      tensors: weightTensors(program),
      features,
      classes,
      normalisation: normalisation ?? undefined,
      proof: prover?.shape,
    };
    this.#model = { key, program, executor, evaluator, prover, shape };
    return shape;
  }

  async initialWeights(seed: Uint8Array): Promise<Weights> {
    return initialWeights(this.#loaded().program, seed);
  }

  async quantise(bytes: Uint8Array): Promise<Int8Array> {
    return quantiseBytes(this.#loaded().program, bytes);
  }

  async setWeights(start: RoundStart): Promise<void> {
    this.#loaded().executor.load(start.weights);
    this.#training = { start, done: 0, mark: start };
  }

  async step({ x, y }: TrainingBatch): Promise<number> {
    const { executor, training } = this.#inTraining();
    const { loss } = executor.step(x, y);
    training.done++;
    return loss;
  }

  async weights(): Promise<Weights> {
    return this.#loaded().executor.weights();
  }

  async checkpoint(): Promise<WeightsIdentity> {
    const { executor, training } = this.#inTraining();
    const weights = executor.weights();
    const identity = await this.identify(weights, this.#blinders(training), training.mark);
    training.mark = { weights, ...identity };
    return identity;
  }

  /** W_r keeps its own blinders; those after each step follow from the round's secret. */
  #blinders({ start, done }: Training): Uint8Array {
    return done === 0
      ? start.blinders
      : (this.#loaded().prover?.weightBlinders(start.secret, done) ?? new Uint8Array());
  }

  async proveStep(header: StepHeader, batch: DatasetBatch): Promise<ProvenStep> {
    const { executor, training } = this.#inTraining();
    const prover = this.#prover();
    await this.checkpoint();
    const before = training.mark;
    const trace = executor.trace(batch.x, batch.y.length, batch.y);
    executor.step(batch.x, batch.y);
    training.done++;
    const after = { weights: executor.weights(), blinders: this.#blinders(training) };
    const { step, points } = await prover.proveStep(header, { before, after, batch, trace });
    training.mark = { ...after, points };
    return step;
  }

  verifyStep(header: StepHeader, idIn: Hex, step: ProvenStep): Promise<boolean> {
    return this.#prover().verifyStep(header, idIn, step);
  }

  async identify(weights: Weights, blinders?: Uint8Array, near?: CommittedWeights): Promise<WeightsIdentity> {
    const { program, prover } = this.#loaded();
    if (prover) return prover.identify(weights, blinders, near);
    if (blinders && blinders.length > 0)
      throw new SkyNetError("BadBlinders", "there are blinders in a job without commitments");
    const tensors = weightTensors(program).map(({ shape, scale }, i) => ({ shape, scale, data: weights[i]! }));
    return { id: toHex(tensorId("weights", tensors)), points: new Uint8Array(), blinders: new Uint8Array() };
  }

  commitBatches(batches: readonly TrainingBatch[]): Promise<Uint8Array[]> {
    return this.#prover().commitBatches(batches);
  }

  blindBatches(batches: readonly CommittedBatch[]): Promise<Uint8Array[]> {
    return this.#prover().blindBatches(batches);
  }

  checkBatches(batches: readonly CommittedBatch[]): Promise<void> {
    return this.#prover().checkBatches(batches);
  }

  verifier(): Promise<VerifierCode> {
    return this.#prover().verifier();
  }

  async encodeUpdate(base: Weights, updated: BlindedWeights): Promise<Uint8Array> {
    return encodeUpdate(this.#loaded().program, base, updated);
  }

  async applyUpdate(base: Weights, update: Uint8Array): Promise<BlindedWeights> {
    return decodeUpdate(this.#loaded().program, this.#blocks(), base, update);
  }

  async average(base: BlindedWeights, updates: readonly BlindedWeights[]): Promise<BlindedWeights> {
    return averageUpdates(this.#loaded().program, this.#blocks(), base, updates);
  }

  /** Of a commitment to weights; none in quorum mode. */
  #blocks(): number {
    return this.#loaded().shape.proof?.weightBlocks ?? 0;
  }

  async evaluate(weights: Weights, x: Int8Array, y: Uint8Array): Promise<Evaluation> {
    const { evaluator } = this.#loaded();
    evaluator.load(weights);
    const { correct, loss } = evaluator.evaluate(x, y, y.length);
    return { accuracy: correct / y.length, loss };
  }

  async exportModel(weights: Weights, metadata?: Readonly<Record<string, string>>): Promise<Uint8Array> {
    return exportModel(this.#loaded().program, weights, metadata);
  }

  #loaded(): Loaded {
    if (!this.#model) throw new SkyNetError("NoModel", "no model is loaded in the trainer");
    return this.#model;
  }

  /** @throws DataError `NotLoaded` when no weights were set */
  #inTraining(): { readonly executor: Executor; readonly training: Training } {
    const { executor } = this.#loaded();
    if (!this.#training) throw new DataError("NotLoaded", "no weights are in training");
    return { executor, training: this.#training };
  }

  #prover(): ModelProver {
    const { prover } = this.#loaded();
    if (!prover) throw new SkyNetError("NoProofs", "the model is loaded without a proof system");
    return prover;
  }
}
