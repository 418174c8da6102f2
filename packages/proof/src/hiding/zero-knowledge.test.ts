// What docs/proof-system.md says of zero knowledge. Challenges are fixed, so that a transcript is a function of witness and
// randomness, and commitments are seen in the exponent, so that nothing rests on computation.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commitPlainly, inferenceSubject, stepSubject, type Subject } from "../attacks/subject.ts";
import { inferenceCircuit, stepCircuit } from "../circuit/build.ts";
import type { Circuit } from "../circuit/circuit.ts";
import { P } from "../field/fr.ts";
import { prove } from "../prove/prover.ts";
import { range } from "../reference/dense.ts";
import { ReferenceProver } from "../reference/prover.ts";
import type { Hiding } from "../script/hiding.ts";
import { runScript } from "../script/script.ts";
import { perceptronProgram } from "../testing.ts";
import { verify } from "../verify/verify.ts";
import { drawHidden, makeTranscript, nothing, rank, removals, sameTranscript, type Setting } from "./explain.ts";
import { biased, hidingFuzzers, randomnessOf, randomWitness, settingOf, tinySubject, toyTranscripts } from "./fuzz.ts";
import { freshRandomness, systemRandom } from "./randomness.ts";
import { drawSecrets, maskCells, spareCell } from "./secrets.ts";
import { Challenges, simulate } from "./simulator.ts";

let tiny: Subject;
beforeAll(async () => {
  tiny = await tinySubject();
});
afterAll(() => tiny.close());

/** Messages of one run, with what hides them. */
async function messagesOf(subject: Subject, witness: Parameters<typeof makeTranscript>[1]) {
  const setting = settingOf(subject, randomnessOf(3), P);
  const { messages } = await makeTranscript(setting, witness, drawHidden(subject.key, randomnessOf(4), P));
  return messages;
}

describe("pads", () => {
  const program = perceptronProgram([3, 4, 3, 2], {
    batchSize: 3,
    learningRate: 3 / 4,
    workers: 2,
    widths: { logit: 6 },
  });
  const circuits: [string, () => Promise<Subject>][] = [
    ["step", () => stepSubject()],
    ["inference of a public input", () => inferenceSubject({ input: "public" })],
    ["inference of a committed input", () => inferenceSubject({ input: "committed", output: "committed" })],
  ];

  test.each(circuits)(
    "each is used for one scalar, and each scalar without one has its reason: %s",
    async (_, make) => {
      const subject = await make();
      try {
        const messages = await messagesOf(subject, subject.derive().tensors);
        const [hiding, sizes] = [messages.map((own) => own.hiding), messages.map(({ values }) => values.length)];
        const { first, count, products, productVars, vars } = subject.circuit.pads!;
        const used = hiding.flatMap((own) => ("pads" in own ? [...own.pads] : []));
        expect(sizes).toEqual(hiding.map((own, i) => ("pads" in own ? own.pads.length : sizes[i])));
        const pairs = range(products).flatMap((k) => [k, 2 ** productVars + k]);
        const wanted = [...pairs, ...range(count).map((k) => first + k)];
        expect([...used].sort((a, b) => a - b)).toEqual(wanted.sort((a, b) => a - b));
        expect(used).not.toContain(spareCell({ vars }));
        expect(new Set(hiding.flatMap((own) => ("clear" in own ? [own.clear] : [])))).toEqual(
          new Set([
            "spare pair",
            "mask",
            "blind",
            "blinder",
            ...(subject.circuit.statement === "step" ? ["public table"] : []),
          ]),
        );
      } finally {
        await subject.close();
      }
    },
  );

  test.each([
    ["step", stepCircuit(program, { tableBits: 5 })],
    ["inference", inferenceCircuit(program, 3, { tableBits: 5 })],
  ] as [string, Circuit][])(
    "lie in one block, behind the pairs and before the spare cell: %s",
    (_, { pads, settings }) => {
      const { vars, productVars, products, first, count } = pads!;
      expect(vars).toBeLessThanOrEqual(settings.blockBits);
      expect(products).toBeLessThan(2 ** productVars);
      expect(first).toBe(3 * 2 ** productVars);
      expect(first + count).toBeLessThanOrEqual(spareCell({ vars }));
    },
  );

  test("need blocks that are long enough", () => {
    expect(() => stepCircuit(program, { tableBits: 5, blockBits: 5 })).toThrow("too short to hide a proof");
    expect(stepCircuit(program, { tableBits: 5, blockBits: 5, hiding: false }).pads).toBeNull();
  });
});

describe("one proof fits every witness", () => {
  test(
    "the true one and another explain a transcript; with a part of the randomness taken away only the true one does",
    { timeout: 180_000 },
    async () => {
      const report = await hidingFuzzers["zk-removals"]({ count: 6, seed: 2 });
      expect(report).toEqual({ explained: 1, toldApart: 12, hideNothing: [] });
    },
  );

  test("what can be taken away: the spare ones, the mask, the blind, every blinder, every pad", () => {
    const { pads, tensors } = tiny.circuit;
    const blocks = tensors.filter(({ source }) => source !== "key").reduce((sum, own) => sum + own.blocks, 0);
    expect(removals(tiny.key)).toHaveLength(4 + blocks + 2 * pads!.products + pads!.count);
  });
});

describe("over a field of 8191 elements", () => {
  test.each([["real", nothing] as const, ["simulated", "simulated"] as const])(
    "%s transcripts are uniform in each scalar and in random sums",
    async (_, kind) => {
      const sample = await toyTranscripts(tiny, 5, 160, kind);
      expect(sample.isPublic.filter((known) => !known).length).toBeGreaterThan(200);
      expect(biased(sample, 5)).toEqual([]);
    },
  );

  test.each(["the mask", "the blind", "pad 0 left", "pad 70"])("without %s they are not", async (name) => {
    const removal = removals(tiny.key).find((own) => own.name === name)!;
    expect(biased(await toyTranscripts(tiny, 5, 60, removal), 5)).not.toEqual([]);
  });
});

/** Words that mask and spare cell hide, as a function of one of their cells. */
async function maskedWords(
  setting: Setting,
  subject: Subject,
  change: (cells: { mask: bigint[]; pads: bigint[] }) => void,
) {
  const hidden = drawHidden(subject.key, randomnessOf(7), P);
  const [mask, pads] = [hidden.tensors.get("mask")!, hidden.tensors.get("pads")!];
  mask.fill(0n);
  pads[spareCell(subject.circuit.pads!)] = 0n;
  change({ mask, pads });
  const { messages } = await makeTranscript(setting, randomWitness(subject, 1), hidden);
  return messages.flatMap(({ values, hiding }) => ("clear" in hiding && hiding.clear === "mask" ? [...values] : []));
}

describe("the rounds that are sent in the clear", () => {
  test("mask and spare cell hide every word of them, and no cell can be missing", async () => {
    const setting = settingOf(tiny, randomnessOf(6), P);
    const { blockBits } = tiny.circuit.settings;
    const start = await maskedWords(setting, tiny, () => {});
    const difference = (words: readonly bigint[]) => words.map((value, i) => (value - start[i]! + P) % P);
    const columns = await Promise.all([
      ...maskCells(blockBits).map(async (cell) =>
        difference(await maskedWords(setting, tiny, ({ mask }) => void (mask[cell] = 1n))),
      ),
      maskedWords(setting, tiny, ({ pads }) => void (pads[spareCell(tiny.circuit.pads!)] = 1n)).then(difference),
    ]);
    expect(start).toHaveLength(2 * blockBits + 1);
    expect(columns).toHaveLength(2 * blockBits + 1);
    expect(rank(columns)).toBe(2 * blockBits + 1);
    for (const missing of columns.keys()) expect(rank(columns.filter((_, i) => i !== missing))).toBe(2 * blockBits);
  });

  test.each([8, 11, 14, 16])("blocks of 2^%i cells: the same rank for random weights of the pads", (vars) => {
    const padVars = 8;
    const random = randomnessOf(vars);
    const point = random.scalars(vars);
    const weights = [...random.scalars(2 ** padVars - 1), 0n];
    const place = (at: readonly bigint[]) => at.reduce((sum, x, k) => sum + (x << BigInt(k)), 1n) % P;
    const padWeight = (at: readonly bigint[]) => {
      const low = range(2 ** padVars).reduce((sum, cell) => {
        let factor = weights[cell]!;
        for (let k = 0; k < padVars; k++) factor = (factor * ((cell >> k) & 1 ? at[k]! : P + 1n - at[k]!)) % P;
        return sum + factor;
      }, 0n);
      return at.slice(padVars).reduce((product, x) => (product * (P + 1n - x)) % P, low % P);
    };
    const columns = [
      ...maskCells(vars).map((cell) => roundWords(cell, vars, point, place)),
      roundWords(2 ** padVars - 1, vars, point, padWeight),
    ];
    expect(rank(columns)).toBe(2 * vars + 1);
  });
});

/**
 * What one cell that holds a one adds to each word of a sumcheck of <weight, cells>: the sum, then c_0 and c_2 of each
 * round, the top variable first. `weight` is the extension of the weights.
 */
function roundWords(
  cell: number,
  vars: number,
  point: readonly bigint[],
  weight: (at: readonly bigint[]) => bigint,
): bigint[] {
  const bits = range(vars).map((k) => BigInt(Math.floor(cell / 2 ** k) % 2));
  const words = [weight(bits)];
  for (let v = vars - 1; v >= 0; v--) {
    const value = (x: bigint) => {
      const at = range(vars).map((k) => (k < v ? bits[k]! : k === v ? x : point[k]!));
      const factor = range(vars - v).reduce((product, i) => {
        const own = at[v + i]!;
        return (product * (bits[v + i] === 1n ? own : P + 1n - own)) % P;
      }, 1n);
      return (factor * weight(at)) % P;
    };
    const [y0, y1, y2] = [value(0n), value(1n), value(2n)];
    const half = (P + 1n) / 2n;
    words.push(y0, (((y2 - 2n * y1 + y0 + 2n * P) % P) * half) % P);
  }
  return words;
}

describe("the simulator", () => {
  const subjects: [string, () => Promise<Subject>][] = [
    ["a step", () => stepSubject()],
    ["an inference of a public input", () => inferenceSubject({ input: "public" })],
    [
      "an inference of a committed input with a committed output",
      () => inferenceSubject({ input: "committed", output: "committed" }),
    ],
  ];

  test.each(subjects)(
    "makes proofs of %s that the verifier accepts, without a witness, where it chooses the challenges",
    async (_, make) => {
      const subject = await make();
      try {
        const random = randomnessOf(11);
        const challenges = random.scalars(200);
        const { statement } = subject.derive();
        const { proof } = await simulate(subject.key, statement, { challenges, random, commit: commitPlainly });
        expect(proof).toHaveLength((await subject.prove()).proof.length);
        await verify(subject.key, statement, proof, { transcript: new Challenges(challenges) });
        const others = challenges.with(5, 1n);
        const refused = verify(subject.key, statement, proof, { transcript: new Challenges(others) });
        await expect(refused).rejects.toMatchObject({ code: "ProofRejected" });
      } finally {
        await subject.close();
      }
    },
  );

  test("needs no true statement", async () => {
    const random = randomnessOf(12);
    const challenges = random.scalars(200);
    const { statement } = tiny.derive();
    // the next weights are those before: no step leads there
    const points = new Map([...statement.points, ["next", statement.points.get("weights")!]] as const);
    const lie = { ...statement, points, idOut: statement.idIn };
    const { proof } = await simulate(tiny.key, lie, { challenges, random, commit: commitPlainly });
    await verify(tiny.key, lie, proof, { transcript: new Challenges(challenges) });
    await expect(verify(tiny.key, lie, proof)).rejects.toMatchObject({ code: "ProofRejected" });
  });
});

describe("randomness", () => {
  test("a generator that repeats itself is refused", () => {
    const seed = systemRandom(32);
    freshRandomness(() => seed, []);
    const repeated = expect.objectContaining({ code: "RepeatedRandomness" });
    expect(() => freshRandomness(() => seed, [])).toThrow(repeated);
    expect(() => freshRandomness(() => seed, [Uint8Array.of(1)])).toThrow(repeated);
    expect(() => freshRandomness(() => new Uint8Array(8), [])).toThrow(repeated);
  });

  test("the prover does not run twice from one state, not even after a failure", async () => {
    const secrets = drawSecrets(tiny.circuit, randomnessOf(13));
    const hidden = { blinders: new Map(), secrets };
    const copy = { blinders: new Map(), secrets: structuredClone(secrets) };
    const { statement } = tiny.derive();
    const broken = { vectors: { mark: () => 0, release: () => {} }, committer: {} } as never;
    await expect(prove(broken, tiny.key, statement, new Map(), hidden)).rejects.not.toMatchObject({
      code: "RepeatedRandomness",
    });
    for (const again of [hidden, copy])
      await expect(prove(broken, tiny.key, statement, new Map(), again)).rejects.toMatchObject({
        code: "RepeatedRandomness",
      });
  });

  test("a scalar that is to be hidden without a pad ends the script", async () => {
    class Forgetful extends ReferenceProver {
      override words(id: string, names: readonly string[], hiding: Hiding): bigint[] {
        return super.words(id, names, "pads" in hiding ? { pads: hiding.pads.slice(1) } : hiding);
      }
    }
    const hidden = drawHidden(tiny.key, randomnessOf(16), P);
    const { statement, tensors } = tiny.derive();
    const prover = new Forgetful(tiny.key, statement, tensors, hidden, commitPlainly, {});
    await expect(runScript(prover)).rejects.toThrow("the message zerocheck has 20 scalars and pads for 19");
  });

  test("two proofs of one statement have nothing in common", async () => {
    const setting = settingOf(tiny, randomnessOf(14), P);
    const random = randomnessOf(15);
    const witness = randomWitness(tiny, 1);
    const [a, b] = [
      await makeTranscript(setting, witness, drawHidden(tiny.key, random, P)),
      await makeTranscript(setting, witness, drawHidden(tiny.key, random, P)),
    ];
    expect(sameTranscript(a, b)).toBe(false);
    const hidden = a.messages.flatMap(({ id, values }) => (id === "exponentials" ? [] : [...values]));
    const others = new Set(b.messages.flatMap(({ id, values }) => (id === "exponentials" ? [] : [...values])));
    expect(hidden.filter((value) => others.has(value))).toEqual([]);
  });
});
