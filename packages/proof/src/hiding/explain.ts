// Whether a transcript can be a proof of some witness: looks for randomness with which the reference prover, working on
// that witness, sends exactly the same. Challenges are fixed and commitments are seen in the exponent, so that whoever
// looks is unbounded. A proof that hides can be explained by every witness; take away a part of its randomness, and only
// the true one explains it.
import type { TensorName } from "../circuit/circuit.ts";
import { inverse, mod, P } from "../field/fr.ts";
import { range } from "../reference/dense.ts";
import { type Commit, ReferenceProver } from "../reference/prover.ts";
import type { Tensors } from "../reference/witness.ts";
import type { Hiding } from "../script/hiding.ts";
import type { ProofKey } from "../script/key.ts";
import { runScript } from "../script/script.ts";
import type { Statement } from "../script/statement.ts";
import type { Randomness } from "./randomness.ts";
import { drawSecrets, maskCells, spareCell } from "./secrets.ts";
import { Challenges } from "./simulator.ts";

/** All randomness of a proof, blinders of the statement's tensors included. */
export interface Hidden {
  readonly tensors: Map<TensorName, bigint[]>;
  readonly blinders: Map<TensorName, bigint[]>;
}

/** What is proven, by whom it is judged, and over which field. */
export interface Setting {
  readonly key: ProofKey;
  readonly statement: Statement;
  readonly challenges: readonly bigint[];
  readonly modulus: bigint;
}

interface Message {
  readonly id: string;
  readonly round: number;
  readonly values: readonly bigint[];
  readonly hiding: Hiding;
}

/** Everything that is sent, and the polynomial that is opened. */
export interface Transcript {
  readonly messages: readonly Message[];
  /** Discrete logarithms of the commitments. */
  readonly commitments: ReadonlyMap<TensorName, readonly bigint[]>;
  readonly opened: readonly bigint[];
  /** The share of the blind in what is opened. */
  readonly share: bigint;
}

/** Secrets of the reference string and of the blinding point: here they are known. */
const TAU = 987654321n;
const H = 123456789n;

class RecordingProver extends ReferenceProver {
  readonly messages: Message[] = [];
  readonly committed = new Map<TensorName, bigint[]>();
  share = 0n;

  protected override message(id: string, count: number, round: number, hiding: Hiding): bigint[] {
    const values = super.message(id, count, round, hiding);
    this.messages.push({ id, round, values, hiding });
    return values;
  }

  override commitments(names: readonly TensorName[]): void {
    for (const name of names) {
      const from = this.sent.length;
      super.commitments([name]);
      this.committed.set(
        name,
        this.sent.slice(from).filter((_, i) => i % 2 === 0),
      );
    }
  }

  override challenges(id: string, count: number) {
    const point = super.challenges(id, count);
    if (id === "blind") this.share = point.at(0);
    return point;
  }
}

/** Runs the reference prover. */
export async function makeTranscript(setting: Setting, witness: Tensors, hidden: Hidden): Promise<Transcript> {
  const { key, statement, challenges, modulus } = setting;
  const commit: Commit = (cells, blinder = 0n) => ({
    x: mod(evaluate(cells, modulus) + blinder * H, modulus),
    y: 0n,
  });
  const options = { transcript: new Challenges(challenges), modulus };
  const prover = new RecordingProver(key, statement, witness, hidden, commit, options);
  await runScript(prover);
  const { tensors, settings } = key.circuit;
  const size = 2 ** settings.blockBits;
  const commitments = new Map(prover.committed);
  for (const { name, source, blocks } of tensors)
    if (source === "statement")
      commitments.set(
        name,
        range(blocks).map(
          (i) => commit(witness.get(name)!.slice(i * size, (i + 1) * size), hidden.blinders.get(name)![i]).x,
        ),
      );
  return { messages: prover.messages, commitments, opened: prover.opened, share: prover.share };
}

/** Uniform randomness of a whole proof. */
export function drawHidden({ circuit }: ProofKey, random: Randomness, modulus: bigint): Hidden {
  const { tensors, blinders } = drawSecrets(circuit, random, modulus);
  const all = new Map<TensorName, bigint[]>([...blinders].map(([name, own]) => [name, [...own]]));
  for (const { name, source, blocks } of circuit.tensors)
    if (source === "statement") all.set(name, random.scalars(blocks, modulus));
  return { tensors: new Map(tensors), blinders: all };
}

/** Takes a part of the randomness away. */
export interface Removal {
  readonly name: string;
  readonly apply: (hidden: Hidden) => void;
  /** Whether it is the pad of a single scalar or of a factor. */
  readonly isPad?: boolean;
  /** What would show in a transcript without randomness; absent where that is always different. */
  readonly shown?: (plain: Transcript) => string;
  /** What mask and spare cell then decide about besides the words that they hide. */
  readonly shows?: (transcript: Transcript) => readonly bigint[];
}

export const nothing: Removal = { name: "nothing", apply: () => {} };

/** Everything that can be taken away, one at a time. */
export function removals({ circuit }: ProofKey): Removal[] {
  const { productVars, products, first, count, vars } = circuit.pads!;
  const pairs = 2 ** productVars;
  const pad = (name: string, cell: number): Removal => ({
    name,
    isPad: true,
    shown: ({ messages }) =>
      messages
        .flatMap(({ values, hiding }) => ("pads" in hiding ? values.filter((_, i) => hiding.pads[i] === cell) : []))
        .join(),
    apply: ({ tensors }) => {
      tensors.get("pads")![cell] = 0n;
      multiplyPads(tensors.get("pads")!, productVars);
    },
  });
  return [
    {
      name: "the spare pair",
      apply: (hidden) => [products, pairs + products].forEach((cell) => pad("", cell).apply(hidden)),
    },
    { name: "the spare cell", apply: pad("", spareCell({ vars })).apply },
    { name: "the mask", apply: ({ tensors }) => void tensors.get("mask")!.fill(0n) },
    {
      name: "the blind",
      apply: ({ tensors }) => void tensors.get("blind")!.fill(0n),
      shows: ({ opened }) => opened,
    },
    ...circuit.tensors
      .filter(({ source }) => source !== "key")
      .flatMap(({ name, blocks }) =>
        range(blocks).map((i): Removal => ({
          name: `the blinder of ${name}, block ${i}`,
          apply: ({ blinders }) => void (blinders.get(name)![i] = 0n),
          shows: (transcript) => unblindedView(transcript, name),
          ...(isRandom(name) ? {} : { shown: ({ commitments }) => String(commitments.get(name)![i]) }),
        })),
      ),
    ...range(products).flatMap((k) => [pad(`pad ${k} left`, k), pad(`pad ${k} right`, pairs + k)]),
    ...range(count).map((k) => pad(`pad ${first + k}`, first + k)),
  ];
}

const isRandom = (name: TensorName): boolean => ["pads", "mask", "blind"].includes(name);

/** What a commitment without a blinder says of mask and spare cell. */
function unblindedView({ commitments, opened, share }: Transcript, name: TensorName): readonly bigint[] {
  if (name === "blind") return [evaluate(opened, P) - share * commitments.get("blind")![0]!];
  return name === "mask" || name === "pads" ? commitments.get(name)! : [];
}

const evaluate = (cells: readonly bigint[], p: bigint): bigint =>
  cells.reduceRight((sum, value) => (sum * TAU + value) % p, 0n);

function multiplyPads(pads: bigint[], productVars: number): void {
  const pairs = 2 ** productVars;
  for (let k = 0; k < pairs; k++) pads[2 * pairs + k] = pads[k]! * pads[pairs + k]!;
}

/** The randomness that a witness would need for a transcript, as far as it can be found. */
export async function explain(
  setting: Setting,
  witness: Tensors,
  transcript: Transcript,
  removal: Removal,
): Promise<Hidden> {
  const search = new Search(setting, witness, transcript, removal);
  await search.pads(["zerocheck", "contractions", "operands"]);
  await search.sparePair();
  await search.pads(["pads"]);
  await search.pads(["claims"]);
  await search.mask();
  await search.blind();
  await search.blinders();
  return search.hidden;
}

const isMasked = (hiding: Hiding): boolean => "clear" in hiding && hiding.clear === "mask";

/** Whether a witness with some randomness sends exactly this. */
export async function isExplained(
  setting: Setting,
  witness: Tensors,
  transcript: Transcript,
  removal: Removal,
): Promise<boolean> {
  const hidden = await explain(setting, witness, transcript, removal);
  return sameTranscript(await makeTranscript(setting, witness, hidden), transcript);
}

const flat = ({ messages, commitments, opened }: Transcript): string =>
  [messages.flatMap(({ values }) => values), [...commitments.values()].flat(), opened].join(";");

export const sameTranscript = (a: Transcript, b: Transcript): boolean => flat(a) === flat(b);

class Search {
  readonly hidden: Hidden;
  readonly #setting: Setting;
  readonly #witness: Tensors;
  readonly #wanted: Transcript;
  readonly #removal: Removal;

  constructor(setting: Setting, witness: Tensors, wanted: Transcript, removal: Removal) {
    const { tensors, pads, settings } = setting.key.circuit;
    const zeros = (count: number) => Array<bigint>(count).fill(0n);
    this.hidden = {
      tensors: new Map([
        ["pads", zeros(2 ** pads!.vars)],
        ["mask", zeros(2 ** settings.blockBits)],
        ["blind", zeros(2 ** settings.blockBits)],
      ]),
      blinders: new Map(
        tensors.filter(({ source }) => source !== "key").map(({ name, blocks }) => [name, zeros(blocks)]),
      ),
    };
    this.#setting = setting;
    this.#witness = witness;
    this.#wanted = wanted;
    this.#removal = removal;
  }

  get #cells(): bigint[] {
    return this.hidden.tensors.get("pads")!;
  }

  #mod(value: bigint): bigint {
    return mod(value, this.#setting.modulus);
  }

  #run(): Promise<Transcript> {
    multiplyPads(this.#cells, this.#setting.key.circuit.pads!.productVars);
    this.#removal.apply(this.hidden);
    return makeTranscript(this.#setting, this.#witness, this.hidden);
  }

  /** The pads of some messages: they are what is added. */
  async pads(ids: readonly string[]): Promise<void> {
    const { messages } = await this.#run();
    messages.forEach(({ id, values, hiding }, m) => {
      if (!ids.includes(id) || !("pads" in hiding)) return;
      hiding.pads.forEach((cell, i) => {
        this.#cells[cell] = this.#mod(this.#cells[cell]! + this.#wanted.messages[m]!.values[i]! - values[i]!);
      });
    });
  }

  /** The spare pair decides about the two words at the end of the pads' zerocheck. */
  async sparePair(): Promise<void> {
    const { productVars, products } = this.#setting.key.circuit.pads!;
    for (const [i, cell] of [products, 2 ** productVars + products].entries()) {
      const at = ({ messages }: Transcript) => messages.find(({ id, round }) => id === "pads" && round < 0)!.values[i]!;
      await this.#solve([cell], this.#cells, (transcript) => [at(transcript)]);
    }
  }

  /** Mask and spare cell together decide about the rounds that are sent in the clear. */
  async mask(): Promise<void> {
    const { pads, settings } = this.#setting.key.circuit;
    const words = (transcript: Transcript) => [
      ...transcript.messages.flatMap(({ values, hiding }) => (isMasked(hiding) ? [...values] : [])),
      ...(this.#removal.shows?.(transcript) ?? []),
    ];
    const mask = this.hidden.tensors.get("mask")!;
    const cells = [
      ...maskCells(settings.blockBits).map((cell) => ({ table: mask, cell })),
      { table: this.#cells, cell: spareCell(pads!) },
    ];
    await this.#solveCells(cells, words);
  }

  #solve(cells: readonly number[], table: bigint[], words: (transcript: Transcript) => bigint[]): Promise<void> {
    return this.#solveCells(
      cells.map((cell) => ({ table, cell })),
      words,
    );
  }

  /** Solves linear equations for cells whose coefficients are found by trying. */
  async #solveCells(
    cells: readonly { table: bigint[]; cell: number }[],
    words: (transcript: Transcript) => bigint[],
  ): Promise<void> {
    const start = words(await this.#run());
    const columns: bigint[][] = [];
    for (const { table, cell } of cells) {
      table[cell] = 1n;
      columns.push(words(await this.#run()).map((value, i) => this.#mod(value - start[i]!)));
      table[cell] = 0n;
    }
    const lack = words(this.#wanted).map((value, i) => this.#mod(value - start[i]!));
    const solution = solve(columns, lack, this.#setting.modulus);
    cells.forEach(({ table, cell }, k) => (table[cell] = solution[k]!));
  }

  async blind(): Promise<void> {
    const { opened, share } = await this.#run();
    const scale = inverse(share, this.#setting.modulus);
    const cells = this.hidden.tensors.get("blind")!;
    opened.forEach((value, i) => (cells[i] = this.#mod((this.#wanted.opened[i]! - value) * scale)));
  }

  async blinders(): Promise<void> {
    const { commitments } = await this.#run();
    for (const [name, own] of this.hidden.blinders)
      own.forEach((_, i) => {
        const lack = this.#wanted.commitments.get(name)![i]! - commitments.get(name)![i]!;
        own[i] = this.#mod(lack * inverse(H, this.#setting.modulus));
      });
    await this.#run();
  }
}

/** Some x with sum_k x_k columns_k = values, where there is one; else whatever elimination leaves. */
export function solve(columns: readonly (readonly bigint[])[], values: readonly bigint[], p: bigint = P): bigint[] {
  const rows = values.map((value, i) => [...columns.map((column) => column[i]!), value]);
  const unknowns = columns.length;
  const pivots: number[] = [];
  let at = 0;
  for (let column = 0; column < unknowns && at < rows.length; column++) {
    const found = rows.findIndex((row, i) => i >= at && row[column] !== 0n);
    if (found < 0) continue;
    [rows[at], rows[found]] = [rows[found]!, rows[at]!];
    const scale = inverse(rows[at]![column]!, p);
    rows[at] = rows[at]!.map((value) => (value * scale) % p);
    rows.forEach((row, i) => {
      const factor = row[column]!;
      if (i !== at && factor !== 0n) rows[i] = row.map((value, j) => mod(value - factor * rows[at]![j]!, p));
    });
    pivots.push(column);
    at++;
  }
  const solution = Array<bigint>(unknowns).fill(0n);
  pivots.forEach((column, i) => (solution[column] = rows[i]![unknowns]!));
  return solution;
}

/** Number of independent columns. */
export function rank(columns: readonly (readonly bigint[])[], p: bigint = P): number {
  const height = columns[0]?.length ?? 0;
  let count = 0;
  const basis: bigint[][] = [];
  for (const column of columns) {
    let rest = [...column];
    for (const own of basis) {
      const lead = own.findIndex((value) => value !== 0n);
      const factor = rest[lead]!;
      if (factor !== 0n) rest = rest.map((value, i) => mod(value - factor * own[i]!, p));
    }
    const lead = rest.findIndex((value) => value !== 0n);
    if (lead < 0) continue;
    const scale = inverse(rest[lead]!, p);
    basis.push(rest.map((value) => (value * scale) % p));
    if (++count === height) break;
  }
  return count;
}
