import { createSubject, type Subject } from "../attacks/subject.ts";
import { stepCircuit } from "../circuit/build.ts";
import { P } from "../field/fr.ts";
import type { FuzzOptions } from "../fuzz.ts";
import { initialWeights } from "../initial-weights.ts";
import { range } from "../reference/dense.ts";
import type { Tensors } from "../reference/witness.ts";
import { perceptronProgram, randomIntegers } from "../testing.ts";
import { drawHidden, isExplained, makeTranscript, nothing, type Removal, removals, type Setting } from "./explain.ts";
import { Randomness } from "./randomness.ts";
import { simulate } from "./simulator.ts";

const SIZES = [2, 2, 2];
const BATCH = 2;
/** More challenges than a script of this size draws. */
const CHALLENGES = 200;
/** A prime that leaves room for all digits and pairs, and is small enough to count values. */
export const TOY_PRIME = 8191n;

/** The smallest step that has everything: two layers, several blocks, both kinds of lookups. */
export function tinySubject(): Promise<Subject> {
  const widths = { logit: 6 };
  const program = perceptronProgram(SIZES, { batchSize: BATCH, learningRate: BATCH / 4, workers: 2, widths });
  return createSubject(stepCircuit(program, { tableBits: 4 }));
}

/** An honest witness of other weights and another batch. */
export function randomWitness(subject: Subject, seed: number): Tensors {
  const random = randomIntegers(seed);
  const bytes = Uint8Array.from({ length: 32 }, () => random(0, 255));
  const x = Int8Array.from({ length: BATCH * SIZES[0]! }, () => random(-18, 46));
  const labels = Uint8Array.from({ length: BATCH }, () => random(0, SIZES.at(-1)! - 1));
  return subject.derive(subject.inputsOf(initialWeights(subject.circuit.program, bytes), x, labels)).tensors;
}

export const randomnessOf = (seed: number): Randomness =>
  new Randomness(
    Uint8Array.from({ length: 32 }, (_, i) => (i < 4 ? seed >>> (8 * i) : 0)),
    [],
  );

export function settingOf(subject: Subject, random: Randomness, modulus: bigint): Setting {
  const { statement } = subject.derive();
  return { key: subject.key, statement, challenges: random.scalars(CHALLENGES, modulus), modulus };
}

/** Another witness that differs in what a removal would show; undefined where none of many does. */
async function otherWitness(
  subject: Subject,
  setting: Setting,
  own: Tensors,
  { shown }: Removal,
  seed: number,
): Promise<Tensors | undefined> {
  const hidden = drawHidden(setting.key, randomnessOf(0), setting.modulus);
  for (const cells of [...hidden.tensors.values(), ...hidden.blinders.values()]) cells.fill(0n);
  const plain = async (witness: Tensors) => shown?.(await makeTranscript(setting, witness, hidden)) ?? "";
  const wanted = await plain(own);
  for (let i = 0; i < TRIES; i++) {
    const other = randomWitness(subject, seed + i);
    if (shown === undefined || (await plain(other)) !== wanted) return other;
  }
  return undefined;
}
const TRIES = 20;
/** Every so many removals the true witness is tried too: it explains whatever was sent. */
const OWN_EVERY = 4;

/** `count` pads and as many others, evenly spread. */
function chooseRemovals(all: readonly Removal[], count: number): Removal[] {
  const pads = all.filter(({ isPad }) => isPad);
  return [pads, all.filter(({ isPad }) => !isPad)].flatMap((kind) => {
    const share = (i: number) => Math.floor((i * Math.min(count, kind.length)) / kind.length);
    return kind.filter((_, i) => share(i + 1) !== share(i));
  });
}

/**
 * A proof of one witness is, with other randomness, a proof of another one; and with any part of the randomness taken
 * away it is not, so that the two can be told apart. `count` limits the pads that are taken away, and the others. Pads of scalars that
 * are the same for every witness are reported.
 */
async function fuzzRemovals({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const report = { explained: 0, toldApart: 0, hideNothing: [] as string[] };
  const subject = await tinySubject();
  try {
    const random = randomnessOf(seed);
    const chosen = [nothing, ...chooseRemovals(removals(subject.key), count)];
    for (const [i, removal] of chosen.entries()) {
      const setting = settingOf(subject, random, P);
      const own = randomWitness(subject, 1_000 * seed + i);
      const other = await otherWitness(subject, setting, own, removal, 1_000_000 + 1_000 * seed + TRIES * i);
      const hidden = drawHidden(subject.key, random, P);
      removal.apply(hidden);
      const transcript = await makeTranscript(setting, own, hidden);
      const where = `seed ${seed}, without ${removal.name}`;
      if (i % OWN_EVERY === 0 && !(await isExplained(setting, own, transcript, removal)))
        throw new Error(`${where}: a proof is not explained by its own witness`);
      if (other === undefined) report.hideNothing.push(removal.name);
      else if ((await isExplained(setting, other, transcript, removal)) !== (removal === nothing))
        throw new Error(`${where}: a proof ${removal === nothing ? "does not hide" : "still hides"} its witness`);
      else if (removal === nothing) report.explained++;
      else report.toldApart++;
      onProgress?.(Math.round((count * (i + 1)) / chosen.length));
    }
    return report;
  } finally {
    await subject.close();
  }
}

const BINS = 16;
/** Sum of squares that 15 degrees of freedom exceed with a probability below 2^-40. */
const LIMIT = 90;
/** Random sums of everything that is sent: they see what words have in common. */
const SUMS = 40;

/** Chi-squared statistic of values that should be uniform below the prime. */
export function chiSquared(values: readonly bigint[], p: bigint = TOY_PRIME): number {
  const counts = Array<number>(BINS).fill(0);
  for (const value of values) counts[Number((value * BigInt(BINS)) / p)]!++;
  const expected = values.length / BINS;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

interface ToySample {
  readonly rows: readonly bigint[][];
  /** Values of public tables. */
  readonly isPublic: readonly boolean[];
  /** The value of the blind follows from the others, so that sums leave it out. */
  readonly follows: readonly boolean[];
}

/** All scalars and the opened polynomial of transcripts over the toy field, one row each; real ones or simulated ones. */
export async function toyTranscripts(
  subject: Subject,
  seed: number,
  count: number,
  removal: Removal | "simulated",
): Promise<ToySample> {
  const random = randomnessOf(seed);
  const setting = settingOf(subject, random, TOY_PRIME);
  const witness = randomWitness(subject, seed);
  const rows: bigint[][] = [];
  let isPublic: boolean[] = [];
  let follows: boolean[] = [];
  for (let i = 0; i < count; i++) {
    const hidden = drawHidden(subject.key, random, TOY_PRIME);
    if (removal !== "simulated") removal.apply(hidden);
    const { messages, opened } = await makeTranscript(setting, witness, hidden);
    const clearBy = (reason: string) => [
      ...messages.flatMap(({ values, hiding }) => values.map(() => "clear" in hiding && hiding.clear === reason)),
      ...opened.map(() => false),
    ];
    [isPublic, follows] = [clearBy("public table"), clearBy("blind")];
    if (removal === "simulated") {
      const commit = () => ({ x: 0n, y: 0n });
      const { challenges, modulus, key, statement } = setting;
      const simulated = await simulate(key, statement, { challenges, modulus, random, commit });
      rows.push([...simulated.scalars, ...simulated.opened]);
    } else rows.push([...messages.flatMap(({ values }) => values), ...opened]);
  }
  return { rows, isPublic, follows };
}

/** The names of what is not uniform: single scalars, and random sums of them. */
export function biased({ rows, isPublic, follows }: ToySample, seed: number): string[] {
  const found: string[] = [];
  const random = randomnessOf(seed + 1);
  isPublic.forEach((known, i) => {
    if (!known && chiSquared(rows.map((row) => row[i]!)) > LIMIT) found.push(`scalar ${i}`);
  });
  range(SUMS).forEach((k) => {
    const weights = random
      .scalars(isPublic.length, TOY_PRIME)
      .map((weight, i) => (isPublic[i] || follows[i] ? 0n : weight));
    const sums = rows.map((row) => row.reduce((sum, value, i) => sum + value * weights[i]!, 0n) % TOY_PRIME);
    if (chiSquared(sums) > LIMIT) found.push(`sum ${k}`);
  });
  return found;
}

/** Over a small field, with fixed challenges: real and simulated transcripts are uniform, `count` of each. */
async function fuzzMarginals({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const subject = await tinySubject();
  try {
    const report: Record<string, unknown> = { prime: Number(TOY_PRIME) };
    for (const [i, kind] of (["real", "simulated"] as const).entries()) {
      const sample = await toyTranscripts(subject, seed, count, kind === "real" ? nothing : "simulated");
      const found = biased(sample, seed);
      if (found.length > 0) throw new Error(`seed ${seed}: ${kind} transcripts are not uniform: ${found.join(", ")}`);
      report[kind] = { transcripts: count, scalars: sample.isPublic.filter((known) => !known).length };
      onProgress?.(Math.round((count * (i + 1)) / 2));
    }
    return report;
  } finally {
    await subject.close();
  }
}

export const hidingFuzzers = { "zk-removals": fuzzRemovals, "zk-marginals": fuzzMarginals };
