// One run of the proof benchmark in a process of its own, so that its peak memory is its own:
// node benchmarks/src/proof/run.ts '{"sizes": [784, 128, 10], "batch": 32, "statement": "step", "zk": true, "threads": 2}'
import fs from "node:fs";
import process from "node:process";
import { ModelBuilder, parseModel } from "@skynet/onnx";
import {
  type Blinders,
  type Circuit,
  compileTraining,
  createExecutor,
  createProofSystem,
  decodeReferenceString,
  deriveBlinders,
  inferenceCircuit,
  initialWeights,
  noBlinders,
  prefixOf,
  type IntegerProgram,
  type ProofSystem,
  stepCircuit,
  type StepProof,
} from "@skynet/proof";
import type { Hex } from "@skynet/protocol";

export interface RunConfig {
  readonly sizes: readonly number[];
  readonly batch: number;
  readonly statement: "step" | "inference";
  readonly zk: boolean;
  readonly threads: number;
  /** File of a reference string that is large enough. */
  readonly srs: string;
  readonly verifier: Hex;
  readonly repetitions: number;
  /** Where the last proof goes. */
  readonly out: string;
}

export interface RunResult {
  readonly proveSeconds: number;
  readonly verifyMs: number;
  readonly peakRssMiB: number;
  readonly params: number;
}

/** An untrained perceptron; the arithmetic does not depend on the values. */
export function program(sizes: readonly number[], batch: number): IntegerProgram {
  const model = new ModelBuilder({ name: "benchmark" });
  const zeros = (name: string, shape: number[]) =>
    model.constant(name, "float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  let value = model.input("x", "float32", ["batch", sizes[0]!]);
  for (let i = 1; i < sizes.length; i++) {
    value = model.node("Gemm", [value, zeros(`w${i}`, [sizes[i - 1]!, sizes[i]!]), zeros(`b${i}`, [sizes[i]!])]);
    if (i + 1 < sizes.length) value = model.node("Relu", [value]);
  }
  model.output(value, "logits", "float32", ["batch", sizes.at(-1)!]);
  return compileTraining(parseModel(model.encode()), { batchSize: batch, learningRate: batch / 256, workers: 4 });
}

export function circuitOf(
  integers: IntegerProgram,
  { batch, statement, zk }: Pick<RunConfig, "batch" | "statement" | "zk">,
): Circuit {
  const settings = { hiding: zk };
  return statement === "step" ? stepCircuit(integers, settings) : inferenceCircuit(integers, batch, settings);
}

/** As a job has them where proofs hide. */
const blindersOf = ({ circuit, blocks }: ProofSystem, name: "weights" | "batch", step: number): Blinders =>
  circuit.settings.hiding
    ? deriveBlinders(new Uint8Array(32).fill(7), [name, step], blocks[name])
    : noBlinders(blocks[name]);

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

/** From the weights and the batch in memory to a proof in bytes; the commitments of W and of the batch are given. */
async function measure(config: RunConfig): Promise<RunResult> {
  const integers = program(config.sizes, config.batch);
  const circuit = circuitOf(integers, config);
  const srs = prefixOf(
    await decodeReferenceString(new Uint8Array(fs.readFileSync(config.srs))),
    circuit.settings.blockBits,
  );
  const system = await createProofSystem(circuit, srs, { threads: config.threads });
  const prove = await (config.statement === "step" ? prepareStep : prepareInference)(system, config);
  const proveSeconds: number[] = [];
  const verifyMs: number[] = [];
  let proof: StepProof | undefined;
  for (let i = 0; i <= config.repetitions; i++) {
    const startedMs = performance.now();
    proof = await prove();
    const doneMs = performance.now();
    await system.verify(proof.statement, proof.proof);
    const verifiedMs = performance.now();
    if (i === 0) continue;
    // proving includes the check of the own proof, as a worker does before it submits
    proveSeconds.push((doneMs - startedMs) / 1000);
    verifyMs.push(verifiedMs - doneMs);
  }
  await system.close();
  const { statement } = proof!;
  fs.writeFileSync(config.out, JSON.stringify({ statement, proof: Buffer.from(proof!.proof).toString("hex") }));
  return {
    proveSeconds: median(proveSeconds),
    verifyMs: median(verifyMs),
    peakRssMiB: process.resourceUsage().maxRSS / 1024,
    params: integers.layers.reduce((sum, { inputs, outputs }) => sum + (inputs + 1) * outputs, 0),
  };
}

const CONTEXT: Hex = `0x${"5b".repeat(32)}`;

async function prepareStep(system: ProofSystem, { verifier, batch }: RunConfig): Promise<() => Promise<StepProof>> {
  const { program: integers } = system.circuit;
  const executor = await createExecutor(integers);
  const before = initialWeights(integers, new Uint8Array(32).fill(7));
  const x = Int8Array.from({ length: batch * integers.input.features }, (_, i) => ((i * 7919) % 65) - 18);
  const labels = Uint8Array.from({ length: batch }, (_, i) => i % integers.loss.classes);
  const beforeCommitment = await system.commitWeights(before, blindersOf(system, "weights", 0));
  const batchCommitment = await system.commitBatch(x, labels, blindersOf(system, "batch", 0));
  return async () => {
    executor.load(before);
    const trace = executor.trace(x, batch, labels);
    executor.step(x, labels);
    const after = executor.weights();
    const afterCommitment = await system.commitChange(
      before,
      beforeCommitment,
      after,
      blindersOf(system, "weights", 1),
    );
    const header = { chainId: 31337, verifier, context: CONTEXT };
    return system.proveStep(header, {
      before,
      after,
      beforeCommitment,
      afterCommitment,
      x,
      labels,
      batchCommitment,
      trace,
    });
  };
}

async function prepareInference(
  system: ProofSystem,
  { verifier, batch }: RunConfig,
): Promise<() => Promise<StepProof>> {
  const { program: integers } = system.circuit;
  const executor = await createExecutor(integers);
  const weights = initialWeights(integers, new Uint8Array(32).fill(7));
  executor.load(weights);
  const x = Int8Array.from({ length: batch * integers.input.features }, (_, i) => ((i * 7919) % 65) - 18);
  const commitment = await system.commitWeights(weights, blindersOf(system, "weights", 0));
  const header = { chainId: 31337, verifier, context: CONTEXT };
  return async () => system.proveInference(header, { weights, commitment, x, trace: executor.trace(x, batch) });
}

if (process.argv[1] === import.meta.filename)
  process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2]!) as RunConfig)), () => process.exit());
