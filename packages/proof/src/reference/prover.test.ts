import fs from "node:fs";
import path from "node:path";
import { toHex } from "@skynet/protocol";
import { expect, test } from "vitest";
import { allHidden, commitPlainly, createSubject, HEADER, smallProgram, type Subject } from "../attacks/subject.ts";
import { inferenceCircuit, stepCircuit } from "../circuit/build.ts";
import type { Circuit } from "../circuit/circuit.ts";
import { createExecutor } from "../executor.ts";
import { initialWeights } from "../initial-weights.ts";
import type { Statement } from "../script/statement.ts";
import { Randomness } from "../hiding/randomness.ts";
import { drawSecrets } from "../hiding/secrets.ts";
import { createProofSystem, purposeOf } from "../prove/system.ts";
import { randomIntegers } from "../testing.ts";
import { provePlainly } from "./prover.ts";

const settings = { blockBits: 8, tableBits: 7 };

async function withSubject(circuit: Circuit, work: (subject: Subject) => Promise<void>): Promise<void> {
  const subject = await createSubject(circuit, 7);
  try {
    await work(subject);
  } finally {
    await subject.close();
  }
}

test.each([
  { sizes: [5, 3, 3], batch: 3 },
  { sizes: [1, 2], batch: 1 },
  { sizes: [4, 4, 2], batch: 4 },
  { sizes: [1, 1, 7, 9], batch: 2 },
  { sizes: [9, 5, 2, 3], batch: 5 },
])("the reference sends the bytes of the prover: step of $sizes, batch $batch", ({ sizes, batch }) =>
  withSubject(stepCircuit(smallProgram(sizes, batch), settings), async (subject) => {
    const { header, proof, tensors } = await subject.prove();
    const plain = await provePlainly(
      subject.key,
      header as Statement,
      tensors,
      allHidden(subject.hidden),
      commitPlainly,
    );
    expect(toHex(plain)).toBe(toHex(proof));
  }),
);

test.each([
  { input: "public", output: "public" },
  { input: "committed", output: "public" },
  { input: "public", output: "committed" },
  { input: "committed", output: "committed" },
] as const)("the reference sends the bytes of the prover: inference, input $input, output $output", (choices) =>
  withSubject(inferenceCircuit(smallProgram([3, 6, 3], 3), 3, { ...settings, ...choices }), async (subject) => {
    const { header, proof, tensors } = await subject.prove();
    const plain = await provePlainly(
      subject.key,
      header as Statement,
      tensors,
      allHidden(subject.hidden),
      commitPlainly,
    );
    expect(toHex(plain)).toBe(toHex(proof));
  }),
);

test("the reference sends the bytes of the whole system: executor, columns, commitments, two threads", () => {
  const program = smallProgram([6, 5, 3], 3);
  return withSubject(stepCircuit(program, settings), async (subject) => {
    const random = randomIntegers(11);
    const weights = initialWeights(program, new Uint8Array(32).fill(5));
    const x = Int8Array.from({ length: 18 }, () => random(-18, 46));
    const labels = Uint8Array.of(0, 2, 1);
    const executor = await createExecutor(program);
    executor.load(weights);
    const trace = executor.trace(x, 3, labels);
    executor.step(x, labels);
    const after = executor.weights();
    const srs = { points: subject.points, g2Tau: subject.key.tau2, hash: subject.key.srsHash };
    const seed = new Uint8Array(32).fill(91);
    const system = await createProofSystem(subject.circuit, srs, { threads: 2, random: () => seed });
    try {
      const blinders = (name: "weights" | "next" | "batch") => subject.hidden.blinders.get(name)!;
      const beforeCommitment = await system.commitWeights(weights, blinders("weights"));
      const afterCommitment = await system.commitChange(weights, beforeCommitment, after, blinders("next"));
      const batchCommitment = await system.commitBatch(x, labels, blinders("batch"));
      const own = { before: weights, after, beforeCommitment, afterCommitment, x, labels, batchCommitment, trace };
      const { proof } = await system.proveStep(HEADER, own);
      const { statement, tensors } = subject.derive(subject.inputsOf(weights, x, labels));
      const secrets = drawSecrets(subject.circuit, new Randomness(seed, purposeOf(statement)));
      const hidden = allHidden({ blinders: subject.hidden.blinders, secrets });
      const plain = await provePlainly(system.key, statement, tensors, hidden, commitPlainly);
      expect(toHex(plain)).toBe(toHex(proof));
    } finally {
      await system.close();
    }
  });
});

test("the reference shares no code with the prover that it judges", () => {
  for (const name of fs.readdirSync(import.meta.dirname).filter((file) => !file.endsWith(".test.ts"))) {
    const source = fs.readFileSync(path.join(import.meta.dirname, name), "utf8");
    const imports = [...source.matchAll(/from "([^"]+)"/g)].map((match) => match[1]!);
    for (const own of imports)
      expect(own, name).toMatch(/^(@skynet\/protocol|\.\/.*|\.\.\/(circuit|field|script)\/.*)$/);
  }
});
