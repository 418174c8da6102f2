import { equalBytes } from "@skynet/protocol";
import { stepCircuit } from "../circuit/build.ts";
import type { TensorName } from "../circuit/circuit.ts";
import { CompileError, OverflowError } from "../errors.ts";
import { createExecutor, type Executor } from "../executor.ts";
import { equalPoints, GENERATOR, GENERATOR_G2, multiply, multiplyG2, type Point } from "../field/curve.ts";
import { power } from "../field/fr.ts";
import type { FuzzOptions } from "../fuzz.ts";
import { type Blinders, deriveBlinders, noBlinders } from "../hiding/blinders.ts";
import { Randomness } from "../hiding/randomness.ts";
import { drawSecrets } from "../hiding/secrets.ts";
import { initialWeights } from "../initial-weights.ts";
import type { IntegerProgram } from "../program.ts";
import { type Commitment, createProofSystem, type ProofSystem, purposeOf } from "../prove/system.ts";
import { provePlainly } from "../reference/prover.ts";
import { deriveTensors } from "../reference/witness.ts";
import type { Statement } from "../script/statement.ts";
import { perceptronProgram, randomIntegers } from "../testing.ts";
import { kernelPoints } from "../vectors/points.ts";
import { withChain } from "./chain-fuzz.ts";
import type { VerifierChain } from "./evm.ts";
import type { Random } from "./mutations.ts";
import { codeOf } from "./run.ts";
import { allHidden, commitPlainly, HEADER, inputsOf, TAU } from "./subject.ts";

/** Of the points that there are; the shortest blocks that hold the pads of any shape here need fewer. */
const MOST_BLOCK_BITS = 11;
/** Every so many shapes the reference prover runs too. */
const REFERENCE_EVERY = 8;
/** Every so many shapes the generated contract runs too. */
const CONTRACT_EVERY = 40;
const STEPS = 2;

/** Two chained steps each of random shapes: proved, verified, and the second starts from the first's commitments. */
function fuzzShapes(options: FuzzOptions): Promise<Record<string, unknown>> {
  return withChain((chain) => proveShapes(chain, options));
}

async function proveShapes(
  chain: VerifierChain,
  { count, seed, onProgress }: FuzzOptions,
): Promise<Record<string, unknown>> {
  const report = { shapes: 0, proofs: 0, references: 0, contracts: 0, overflows: 0, refusedSettings: 0 };
  const points = kernelPoints(
    Array.from({ length: 2 ** MOST_BLOCK_BITS }, (_, i) => multiply(GENERATOR, power(TAU, BigInt(i)))),
  );
  for (let i = 0; i < count; i++) {
    const random = randomIntegers(seed * 1_000_003 + i);
    const where = `shape ${i} of seed ${seed}`;
    const shape = await randomSystem(random, points);
    if (shape === undefined) report.refusedSettings++;
    else {
      try {
        report.shapes++;
        const judges = {
          reference: i % REFERENCE_EVERY === 0,
          chain: i % CONTRACT_EVERY === 0 ? chain : undefined,
        };
        await proveChain(shape, random, judges, where, report);
      } finally {
        await shape.system.close();
      }
    }
    onProgress?.(i + 1);
  }
  return report;
}

/** A proof system, and the seeds of its proofs. */
interface Shape {
  readonly system: ProofSystem;
  readonly seeds: Uint8Array[];
}

async function randomSystem(random: Random, points: Uint32Array): Promise<Shape | undefined> {
  const layers = random(1, 4);
  const sizes = [random(1, 9), ...Array.from({ length: layers - 1 }, () => random(1, 9)), random(2, 9)];
  const batchSize = random(1, 9);
  const widths = { logit: random(6, 9), activation: random(5, 10), gradient: random(8, 11) };
  const training = { batchSize, learningRate: batchSize / 2 ** random(0, 5), workers: 2 ** random(0, 3), widths };
  const hiding = random(0, 2) > 0;
  const settings = { hiding, tableBits: random(4, 8) };
  try {
    const program = perceptronProgram(sizes, training);
    // hidden proofs have the shortest blocks that hold their pads, or longer ones
    const { blockBits: shortest } = stepCircuit(program, settings).settings;
    if (shortest > MOST_BLOCK_BITS) throw new Error(`blocks of 2^${shortest} are needed`);
    const blockBits = hiding ? random(shortest, MOST_BLOCK_BITS) : random(2, MOST_BLOCK_BITS);
    const circuit = stepCircuit(program, { ...settings, blockBits });
    const part = points.slice(0, (points.length / 2 ** MOST_BLOCK_BITS) * 2 ** blockBits);
    const srs = { points: part, g2Tau: multiplyG2(GENERATOR_G2, TAU), hash: `0x${"5e".repeat(32)}` } as const;
    const seeds: Uint8Array[] = [];
    const seed = () => {
      seeds.push(bytesOf(random));
      return seeds.at(-1)!;
    };
    return { system: await createProofSystem(circuit, srs, { random: seed }), seeds };
  } catch (error) {
    if (error instanceof CompileError && error.code === "WidthsDoNotFit") return undefined;
    throw error;
  }
}

interface Report {
  proofs: number;
  references: number;
  contracts: number;
  overflows: number;
}

async function proveChain(
  shape: Shape,
  random: Random,
  judges: { readonly reference: boolean; readonly chain: VerifierChain | undefined },
  where: string,
  report: Report,
): Promise<void> {
  const { system, seeds } = shape;
  const { program } = system.circuit;
  const executor = await createExecutor(program);
  executor.load(
    initialWeights(
      program,
      Uint8Array.from({ length: 32 }, () => random(0, 255)),
    ),
  );
  let commitment = await system.commitWeights(executor.weights(), blindersOf(system, random, "weights"));
  for (let step = 0; step < STEPS; step++) {
    try {
      const { proof, statement, tensors, blinders, after } = await proveStep(system, executor, random, commitment);
      report.proofs++;
      const { points } = await system.commitWeights(executor.weights(), after.blinders);
      expectPoints(after.points, points, `${where}: commitments after step ${step}`);
      commitment = after;
      if (judges.chain !== undefined && step === 0) {
        await judges.chain.install(HEADER.verifier, await codeOf(system.key));
        const verdict = await judges.chain.verdict(HEADER.verifier, statement, proof);
        if (verdict !== "accepted") throw new Error(`the contract says ${verdict}`);
        report.contracts++;
      }
      if (!judges.reference) continue;
      const secrets = drawSecrets(system.circuit, new Randomness(seeds.at(-1)!, purposeOf(statement)));
      const hidden = allHidden({ blinders, secrets });
      const plain = await provePlainly(system.key, statement, tensors(), hidden, commitPlainly);
      if (!equalBytes(plain, proof)) throw new Error(`${where}, step ${step}: the reference sends other bytes`);
      report.references++;
    } catch (cause) {
      if (!(cause instanceof OverflowError)) throw new Error(`${where}, step ${step}: ${String(cause)}`, { cause });
      report.overflows++;
      return;
    }
  }
}

const randomBatch = ({ batchSize, input, loss }: IntegerProgram, random: Random) => ({
  x: Int8Array.from({ length: batchSize * input.features }, () => random(-40, 60)),
  labels: Uint8Array.from({ length: batchSize }, () => random(0, loss.classes - 1)),
});

/** Blinders and seeds of the tests: known, so that the reference prover sends the same bytes. */
const bytesOf = (random: Random): Uint8Array => Uint8Array.from({ length: 32 }, () => random(0, 255));

const blindersOf = ({ circuit, blocks }: ProofSystem, random: Random, name: "weights" | "batch"): Blinders =>
  circuit.settings.hiding ? deriveBlinders(bytesOf(random), [name], blocks[name]) : noBlinders(blocks[name]);

async function proveStep(system: ProofSystem, executor: Executor, random: Random, beforeCommitment: Commitment) {
  const { x, labels } = randomBatch(system.circuit.program, random);
  const before = executor.weights();
  const trace = executor.trace(x, labels.length, labels);
  executor.step(x, labels);
  const after = executor.weights();
  const batchCommitment = await system.commitBatch(x, labels, blindersOf(system, random, "batch"));
  const afterCommitment = await system.commitChange(
    before,
    beforeCommitment,
    after,
    blindersOf(system, random, "weights"),
  );
  const own = { before, after, beforeCommitment, afterCommitment, x, labels, batchCommitment, trace };
  const { proof, statement } = await system.proveStep(HEADER, own);
  const tensors = () => deriveTensors(system.circuit, inputsOf(system.circuit, before, x, labels));
  const blinders = new Map<TensorName, Blinders>([
    ["weights", beforeCommitment.blinders],
    ["next", afterCommitment.blinders],
    ["batch", batchCommitment.blinders],
  ]);
  const named = new Map([
    ["weights", beforeCommitment.points],
    ["next", afterCommitment.points],
    ["batch", batchCommitment.points],
  ] as const);
  return {
    proof,
    statement: { ...statement, points: named } satisfies Statement,
    tensors,
    blinders,
    after: afterCommitment,
  };
}

function expectPoints(actual: readonly Point[], expected: readonly Point[], what: string): void {
  if (actual.length !== expected.length || !actual.every((point, i) => equalPoints(point, expected[i]!)))
    throw new Error(`${what} differ from those of the weights`);
}

export const shapeFuzzers = { "proof-shapes": fuzzShapes };
