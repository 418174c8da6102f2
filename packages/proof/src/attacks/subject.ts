// What attacks are mounted on: a small circuit with padding everywhere, a reference string whose secret is known, and
// honest inputs of a step and of an inference.
import { inferenceCircuit, stepCircuit } from "../circuit/build.ts";
import type { Circuit, CircuitSettings, TensorName } from "../circuit/circuit.ts";
import { GENERATOR, GENERATOR_G2, multiply, multiplyG2, type Point } from "../field/curve.ts";
import { mod, power } from "../field/fr.ts";
import { initialWeights } from "../initial-weights.ts";
import { keccak256 } from "@skynet/protocol";
import { blind, type Blinders } from "../hiding/blinders.ts";
import { Randomness } from "../hiding/randomness.ts";
import { drawSecrets } from "../hiding/secrets.ts";
import type { IntegerProgram } from "../program.ts";
import { type HiddenPart, type Interference, prove } from "../prove/prover.ts";
import { layOutBatch, layOutInput, layOutWeights, type Witness } from "../prove/witness.ts";
import type { ReferenceHidden } from "../reference/prover.ts";
import { type Alter, deriveTensors, type StepInputs, type Tensors } from "../reference/witness.ts";
import { makeKey, type ProofKey } from "../script/key.ts";
import { inputId, outputId, pointsId, type Statement, type StatementHeader } from "../script/statement.ts";
import { perceptronProgram, randomIntegers } from "../testing.ts";
import { createCommitter, type Committer } from "../vectors/committer.ts";
import { FieldVectors } from "../vectors/field-vectors.ts";
import { kernelPoints } from "../vectors/points.ts";

/** The secret of the tests' reference string. */
export const TAU = 0x1234567890abcdef1234567890abcdefn;

export const HEADER = {
  chainId: 31337,
  verifier: "0x5e4b1f1e00000000000000000000000000005afe",
  context: `0x${"12".repeat(32)}`,
} as const;

/** Commitment by the secret: one multiplication, and one for the blinder. */
export function commitPlainly(coefficients: readonly bigint[], blinder = 0n): Point {
  const plain = multiply(
    GENERATOR,
    coefficients.reduceRight((sum, value) => mod(sum * TAU + value), 0n),
  );
  return blind(plain, blinder);
}

/** Commitments of the blocks of a tensor. */
export function commitTensor(
  { tensors, settings }: Circuit,
  name: TensorName,
  cells: readonly bigint[],
  blinders: Blinders = [],
): Point[] {
  const { blocks } = tensors.find((tensor) => tensor.name === name)!;
  const size = 2 ** settings.blockBits;
  return Array.from({ length: blocks }, (_, i) => commitPlainly(cells.slice(i * size, (i + 1) * size), blinders[i]));
}

/** All hidden randomness of a subject: the same in every proof, so that two proofs differ in what an attack changes only. */
function hiddenPart(circuit: Circuit, seed: number): HiddenPart {
  const random = new Randomness(keccak256(new TextEncoder().encode(`subject ${seed}`)), []);
  const blinders = new Map<TensorName, Blinders>();
  if (circuit.settings.hiding)
    for (const { name, source, blocks } of circuit.tensors)
      if (source === "statement") blinders.set(name, random.scalars(blocks));
  return { blinders, secrets: drawSecrets(circuit, random) };
}

const bigints = (values: Iterable<number>, length = 0): bigint[] => {
  const cells = [...values].map(BigInt);
  return [...cells, ...Array<bigint>(Math.max(0, length - cells.length)).fill(0n)];
};

/** What the reference prover takes. */
export const allHidden = ({ blinders, secrets }: HiddenPart): ReferenceHidden => ({
  tensors: secrets.tensors,
  blinders: new Map([...blinders, ...secrets.blinders]),
});

export interface Forgery {
  readonly header: StatementHeader;
  readonly proof: Uint8Array;
  /** What was committed, for the diagnosis. */
  readonly tensors: Tensors;
  readonly omitted: ReadonlySet<string>;
}

type OwnStatement = Statement & { points: Map<TensorName, Point[]> };

/** What a malicious prover changes. */
export interface Changes {
  readonly inputs?: (inputs: { weights: bigint[]; batch: bigint[] }) => void;
  readonly alter?: Alter;
  readonly interference?: Interference;
  /** Changes the randomness of the proof; blinders of the statement's tensors are changed behind their commitments. */
  readonly secrets?: (tensors: Map<TensorName, bigint[]>, circuit: Circuit) => void;
  readonly blinders?: (blinders: Map<TensorName, Blinders>) => void;
  /** Changes the statement before the proof: the prover believes it. */
  readonly statement?: (statement: OwnStatement) => Partial<Statement> | void;
  readonly omitted?: ReadonlySet<string>;
}

let attempts = 0;

export class Subject {
  readonly key: ProofKey;
  readonly inputs: StepInputs;
  readonly publicInput: Int8Array;
  /** The reference string. */
  readonly points: Uint32Array;
  readonly hidden: HiddenPart;
  readonly #committer: Committer;
  readonly #vectors: FieldVectors;

  constructor(
    key: ProofKey,
    inputs: StepInputs,
    publicInput: Int8Array,
    points: Uint32Array,
    hidden: HiddenPart,
    committer: Committer,
    vectors: FieldVectors,
  ) {
    this.key = key;
    this.inputs = inputs;
    this.publicInput = publicInput;
    this.points = points;
    this.hidden = hidden;
    this.#committer = committer;
    this.#vectors = vectors;
  }

  get circuit(): Circuit {
    return this.key.circuit;
  }

  /** Derives, commits and proves, with one thing changed. */
  async prove({
    inputs,
    alter,
    interference = {},
    secrets: changeSecrets,
    blinders: changeBlinders,
    statement: change,
    omitted = new Set(),
  }: Changes = {}): Promise<Forgery> {
    const own = { weights: [...this.inputs.weights], batch: [...this.inputs.batch] };
    inputs?.(own);
    const { tensors, statement: honest } = this.derive(own, alter);
    const statement = { ...honest, ...change?.(honest) };
    const helpers = (cells: bigint[]) => {
      interference.helpers?.(cells);
      tensors.set("helpers", [...cells]);
    };
    const witness: Witness = new Map();
    for (const [name, cells] of tensors)
      if (name !== "exponentials" && !this.hidden.secrets.tensors.has(name))
        witness.set(
          name,
          trimmed(cells).map((value) => mod(value)),
        );
    if (!this.circuit.tensors.some(({ name }) => name === "batch"))
      witness.set("batch", Int32Array.from(own.batch, Number));
    const modules = { vectors: this.#vectors, committer: this.#committer };
    const options = { omitted, interference: { ...interference, helpers } };
    // the honest prover refuses to use randomness twice; whoever attacks calls it by another name
    const randomness = new Map([...this.hidden.secrets.tensors].map(([name, cells]) => [name, [...cells]]));
    changeSecrets?.(randomness, this.circuit);
    const blinders = new Map([...this.hidden.blinders, ...this.hidden.secrets.blinders]);
    changeBlinders?.(blinders);
    const hidden = { blinders: new Map(), secrets: { id: `attack ${attempts++}`, blinders, tensors: randomness } };
    const proof = await prove(modules, this.key, statement, witness, hidden, options);
    for (const [name, cells] of randomness) tensors.set(name, padded(this.circuit, name, cells));
    return { header: statement, proof, tensors, omitted };
  }

  /** All tensors and the statement that follow from inputs. */
  derive(inputs: StepInputs = this.inputs, alter?: Alter): { tensors: Tensors; statement: OwnStatement } {
    const tensors = deriveTensors(this.circuit, inputs, alter);
    return { tensors, statement: this.#statement(tensors) };
  }

  /** The layout of weights and a batch. */
  inputsOf(weights: readonly Int32Array[], x: Int8Array, labels?: Uint8Array): StepInputs {
    return inputsOf(this.circuit, weights, x, labels);
  }

  #statement(tensors: Tensors): OwnStatement {
    const { circuit, key } = this;
    const points = new Map<TensorName, Point[]>(
      circuit.tensors
        .filter(({ source }) => source === "statement")
        .map(({ name }) => [name, commitTensor(circuit, name, tensors.get(name)!, this.hidden.blinders.get(name))]),
    );
    const idIn = pointsId(key.weightsTag, points.get("weights")!);
    if (circuit.statement === "step") {
      const idOut = pointsId(key.weightsTag, points.get("next")!);
      return { ...HEADER, points, idIn, idOut, idData: pointsId(key.dataTag, points.get("batch")!) };
    }
    const { publicInput } = this;
    const publicOutput = Int32Array.from(this.#logits(tensors));
    const idOut = outputId(key, points, publicOutput);
    return { ...HEADER, points, idIn, idOut, idData: inputId(key, points, publicInput), publicInput, publicOutput };
  }

  /** Row-major logits out of their digits. */
  #logits(tensors: Tensors): number[] {
    const { batch, batchVars, layers, settings, slots } = this.circuit;
    const { outputs, forward } = layers.at(-1)!;
    return Array.from({ length: batch * outputs }, (_, i) => {
      const cell = Math.floor(i / outputs) + (i % outputs) * 2 ** batchVars;
      let value = -(2 ** (forward.quotientDigits * settings.tableBits - 1));
      for (let j = 0; j < forward.quotientDigits; j++)
        value +=
          Number(tensors.get("ranged")![slots.get(`o.logit.${j}`)!.offset + cell]) * 2 ** (j * settings.tableBits);
      return value;
    });
  }

  close(): Promise<void> {
    return this.#committer.close();
  }
}

/** With zeros up to the whole tensor. */
const padded = ({ tensors }: Circuit, name: TensorName, cells: readonly bigint[]): bigint[] => {
  const { vars } = tensors.find((tensor) => tensor.name === name)!;
  return [...cells, ...Array<bigint>(2 ** vars - cells.length).fill(0n)];
};

/** Without the zeros at the end. */
const trimmed = (cells: readonly bigint[]): readonly bigint[] =>
  cells.slice(0, Math.max(1, cells.findLastIndex((value) => value !== 0n) + 1));

/** A circuit with its key, and honest inputs from a seed. */
export async function createSubject(circuit: Circuit, seed = 1): Promise<Subject> {
  const { program, settings, batch, tensors } = circuit;
  const random = randomIntegers(seed);
  const seedBytes = Uint8Array.from({ length: 32 }, () => random(0, 255));
  const publicInput = Int8Array.from({ length: batch * program.input.features }, () => random(-18, 46));
  const labels = Uint8Array.from({ length: batch }, () => random(0, program.loss.classes - 1));
  const size = (name: TensorName) => 2 ** (tensors.find((tensor) => tensor.name === name)?.vars ?? 0);
  const table = bigints(program.loss.exponentials, size("exponentials")).slice(0, size("exponentials"));
  const step = circuit.statement === "step";
  const key = makeKey(circuit, {
    srsHash: `0x${"5e".repeat(32)}`,
    tau2: multiplyG2(GENERATOR_G2, TAU),
    exponentials: step ? commitTensor(circuit, "exponentials", table) : [],
  });
  const inputs = inputsOf(circuit, initialWeights(program, seedBytes), publicInput, step ? labels : undefined);
  const powers = Array.from({ length: 2 ** settings.blockBits }, (_, i) => multiply(GENERATOR, power(TAU, BigInt(i))));
  const points = kernelPoints(powers);
  const hidden = hiddenPart(circuit, seed);
  const committer = await createCommitter({ points });
  return new Subject(key, inputs, publicInput, points, hidden, committer, await FieldVectors.create());
}

/** The layout of weights and a batch. */
export function inputsOf(
  circuit: Circuit,
  weights: readonly Int32Array[],
  x: Int8Array,
  labels?: Uint8Array,
): StepInputs {
  const layout = circuit.tensors.find(({ name }) => name === "batch");
  const cells = layout ? layOutBatch(circuit, x, labels) : layOutInput(circuit, x);
  return {
    weights: bigints(layOutWeights(circuit, weights), 2 ** circuit.tensors[0]!.vars),
    batch: bigints(cells, 2 ** (layout?.vars ?? 0)),
  };
}

/** Features, hidden units, classes and samples are not powers of two. */
const SIZES = [5, 3, 3];
const BATCH = 3;
/** The shortest blocks that hold the pads. */
const SETTINGS = { blockBits: 7, tableBits: 7 } as const;
/** With so many features the weights fill two blocks. */
const LONG_SIZES = [33, 3, 3];

export const smallProgram = (sizes: readonly number[] = SIZES, batchSize = BATCH): IntegerProgram =>
  perceptronProgram(sizes, { batchSize, learningRate: batchSize / 4, workers: 2, widths: { logit: 8 } });

export const stepSubject = (choices: Partial<CircuitSettings> = {}, seed?: number): Promise<Subject> =>
  createSubject(stepCircuit(smallProgram(), { ...SETTINGS, ...choices }), seed);

export const inferenceSubject = (choices: Partial<CircuitSettings> = {}): Promise<Subject> => {
  const sizes = choices.input === "committed" ? SIZES : LONG_SIZES;
  return createSubject(inferenceCircuit(smallProgram(sizes), BATCH, { ...SETTINGS, ...choices }));
};
