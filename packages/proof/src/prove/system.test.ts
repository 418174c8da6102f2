import { beforeAll, describe, expect, it } from "vitest";
import { inferenceCircuit, stepCircuit } from "../circuit/build.ts";
import { sizeOfProof } from "../circuit/report.ts";
import type { CircuitSettings } from "../circuit/circuit.ts";
import { createExecutor, type Executor } from "../executor.ts";
import { initialWeights } from "../initial-weights.ts";
import { average, averageCommitments } from "../merge.ts";
import { generateVerifier } from "../solidity/generate.ts";
import { createDevelopmentString } from "../srs/development.ts";
import type { ReferenceString } from "../srs/reference-string.ts";
import { perceptronProgram, randomIntegers } from "../testing.ts";
import { createProofSystem, type ProofSystem } from "./system.ts";

const SIZES = [5, 6, 3];
const BATCH = 3;
const SMALL = { blockBits: 7, tableBits: 7 };
const program = perceptronProgram(SIZES, { batchSize: BATCH, learningRate: 3 / 64, workers: 4, widths: { logit: 8 } });
const weights = initialWeights(program, new Uint8Array(32).fill(3));
const random = randomIntegers(11);
const makeBatch = () => ({
  x: Int8Array.from({ length: BATCH * SIZES[0]! }, () => random(-18, 46)),
  labels: Uint8Array.from({ length: BATCH }, () => random(0, 2)),
});
const header = { chainId: 31337, verifier: `0x${"aa".repeat(20)}`, context: `0x${"12".repeat(32)}` } as const;

let srs: ReferenceString;
let executor: Executor;
beforeAll(async () => {
  srs = await createDevelopmentString({ blockBits: SMALL.blockBits });
  executor = await createExecutor(program);
});

describe("training steps", () => {
  let system: ProofSystem;
  beforeAll(async () => {
    system = await createProofSystem(stepCircuit(program, SMALL), srs);
  });

  it("commits to a change as to the changed weights", async () => {
    const { x, labels } = makeBatch();
    executor.load(weights);
    executor.step(x, labels);
    const after = executor.weights();
    const points = await system.commitWeights(weights);
    expect(await system.commitChange(weights, points, after)).toEqual(await system.commitWeights(after));
  });

  it("adds commitments up to the commitments of the average, also when a worker dropped out", async () => {
    const updates = [0, 1, 2].map(() => {
      const { x, labels } = makeBatch();
      executor.load(weights);
      executor.step(x, labels);
      return executor.weights();
    });
    const points = (await Promise.all(updates.map((update) => system.commitWeights(update)))).map((own) => own.points);
    const start = await system.commitWeights(weights);
    const expected = await system.commitWeights(average(program, weights, updates));
    expect(averageCommitments(start.points, points, 4)).toEqual(expected.points);
  });

  it("accepts batches that open their commitments and refuses one changed pixel or label among them", async () => {
    const batches = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { x, labels } = makeBatch();
        return { x, labels, ...(await system.commitBatch(x, labels)) };
      }),
    );
    await system.checkBatches(batches);
    const pixel = batches.with(17, {
      ...batches[17]!,
      x: batches[17]!.x.with(4, batches[17]!.x[4]! ^ 1) as Int8Array<ArrayBuffer>,
    });
    await expect(system.checkBatches(pixel)).rejects.toMatchObject({ code: "BadBatch" });
    const labels = batches[3]!.labels.with(0, (batches[3]!.labels[0]! + 1) % 3) as Uint8Array<ArrayBuffer>;
    await expect(system.checkBatches(batches.with(3, { ...batches[3]!, labels }))).rejects.toMatchObject({
      code: "BadBatch",
    });
  });

  it("takes turns: two proofs at once are both valid, and as long as the circuit says", async () => {
    const prepared = await Promise.all(
      [0, 1].map(async () => {
        const { x, labels } = makeBatch();
        executor.load(weights);
        const trace = executor.trace(x, BATCH, labels);
        executor.step(x, labels);
        const after = executor.weights();
        const beforeCommitment = await system.commitWeights(weights);
        const afterCommitment = await system.commitChange(weights, beforeCommitment, after);
        const batchCommitment = await system.commitBatch(x, labels);
        return { before: weights, after, beforeCommitment, afterCommitment, x, labels, batchCommitment, trace };
      }),
    );
    const proofs = await Promise.all(prepared.map((witness) => system.proveStep(header, witness)));
    for (const { statement, proof } of proofs) {
      expect(proof.length).toBe(sizeOfProof(system.circuit));
      await system.verify(statement, proof);
    }
    await expect(system.verify(proofs[0]!.statement, proofs[1]!.proof)).rejects.toMatchObject({
      code: "ProofRejected",
    });
  });

  it("stops when the signal aborts", async () => {
    const { x, labels } = makeBatch();
    executor.load(weights);
    const trace = executor.trace(x, BATCH, labels);
    const beforeCommitment = await system.commitWeights(weights);
    const batchCommitment = await system.commitBatch(x, labels);
    const witness = {
      before: weights,
      after: weights,
      beforeCommitment,
      afterCommitment: beforeCommitment,
      x,
      labels,
      batchCommitment,
      trace,
    };
    const reason = new Error("enough");
    await expect(system.proveStep(header, witness, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

const modes: Pick<CircuitSettings, "input" | "output">[] = (["public", "committed"] as const).flatMap((input) =>
  (["public", "committed"] as const).map((output) => ({ input, output })),
);

describe.each(modes)("inference with $input input and $output output", ({ input, output }) => {
  let system: ProofSystem;
  const { x } = makeBatch();
  const prove = async () => {
    executor.load(weights);
    const trace = executor.trace(x, BATCH);
    return system.proveInference(header, { weights, commitment: await system.commitWeights(weights), x, trace });
  };
  beforeAll(async () => {
    system = await createProofSystem(inferenceCircuit(program, BATCH, { ...SMALL, input, output }), srs);
  });

  it("proves the executor's logits", async () => {
    const { statement, proof, logits } = await prove();
    executor.load(weights);
    expect([...logits]).toEqual([...executor.logits(x, BATCH)]);
    expect(proof.length).toBe(sizeOfProof(system.circuit));
    await system.verify(statement, proof);
  });

  it("refuses other ids, other logits and any changed bit", async () => {
    const { statement, proof } = await prove();
    const other = `0x${"34".repeat(32)}` as const;
    for (const change of [{ idIn: other }, { idOut: other }, { idData: other }, { context: other }, { chainId: 1 }])
      await expect(system.verify({ ...statement, ...change }, proof)).rejects.toMatchObject({ code: "ProofRejected" });
    for (let i = 0; i < 40; i++) {
      const changed = proof.slice();
      const at = random(0, proof.length - 1);
      changed[at] = changed[at]! ^ (1 << random(0, 7));
      await expect(system.verify(statement, changed), `byte ${at}`).rejects.toMatchObject({ code: "ProofRejected" });
    }
  });

  it("does not prove logits that the model does not give", async () => {
    executor.load(weights);
    const trace = executor.trace(x, BATCH);
    const wrong = trace.products.map((product, i) => (i === 1 ? product.map((z) => z + 2 ** 24) : product));
    const commitment = await system.commitWeights(weights);
    await expect(
      system.proveInference(header, { weights, commitment, x, trace: { ...trace, products: wrong } }),
    ).rejects.toMatchObject({ code: "ProofRejected" });
  });
});

it("gives the same model the same verifier, and another model another one", async () => {
  const source = async (sizes: readonly number[]) => {
    const own = perceptronProgram(sizes, { batchSize: 2, learningRate: 1 / 32, workers: 2, widths: { logit: 8 } });
    const system = await createProofSystem(stepCircuit(own, SMALL), srs);
    return (await generateVerifier(system.key)).source;
  };
  expect(await source([4, 3])).toBe(await source([4, 3]));
  expect(await source([4, 3])).not.toBe(await source([3, 3]));
});
