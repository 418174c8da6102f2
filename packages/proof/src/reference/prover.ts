// The prover once more, in BigInt and over dense tables: every message is computed from its definition. Slow, obvious,
// and the judge of the fast one: both must send the same bytes. One file, to be read beside the script from top to end.
import { concatBytes, word } from "@skynet/protocol";
import type { Cells, Contraction, Form, Lookup, TensorName } from "../circuit/circuit.ts";
import { contractionProducts, zerocheckProducts } from "../circuit/hidden.ts";
import type { Point as CurvePoint } from "../field/curve.ts";
import { inverse } from "../field/fr.ts";
import type { Claim, ClaimTerm, Point } from "../script/backend.ts";
import { type Coordinates, Core, type CoreOptions } from "../script/core.ts";
import type { ProofKey } from "../script/key.ts";
import { runScript, TABLE_ID } from "../script/script.ts";
import { encodePublicPart, type Statement } from "../script/statement.ts";
import type { Hiding } from "../script/hiding.ts";
import { bindTop, coordinates, dot, equalities, extension, range, termTable } from "./dense.ts";
import { openPlainly } from "./opening.ts";
import { formTable, type Tensors } from "./witness.ts";

/** Commitment of a polynomial by its coefficients, with a blinder or without one. */
export type Commit = (coefficients: readonly bigint[], blinder?: bigint) => CurvePoint;

/** A term of the zerocheck: a product of multilinear tables with a factor. */
interface Term {
  readonly weight: bigint;
  tables: bigint[][];
}

/** A sum over one index of left x right, times a factor. */
interface Sum {
  factor: bigint;
  left: bigint[];
  right: bigint[];
}

/** Blinders of all tensors, and the cells of `pads`, `mask` and `blind`. */
export interface ReferenceHidden {
  readonly tensors: ReadonlyMap<TensorName, readonly bigint[]>;
  readonly blinders: ReadonlyMap<TensorName, readonly bigint[]>;
}

export async function provePlainly(
  key: ProofKey,
  statement: Statement,
  tensors: Tensors,
  hidden: ReferenceHidden,
  commit: Commit,
  options: CoreOptions = {},
): Promise<Uint8Array> {
  const prover = new ReferenceProver(key, statement, tensors, hidden, commit, options);
  await runScript(prover);
  return concatBytes(encodePublicPart(key.circuit, statement), ...prover.sent.map(word));
}

export class ReferenceProver extends Core {
  readonly sent: bigint[] = [];
  readonly #tensors: Tensors;
  readonly #commit: Commit;
  readonly #points = new Map<string, Coordinates>();
  #terms: Term[] = [];
  #sums: (Sum & { readonly name: string })[] = [];
  #pairs: bigint[][] = [];
  #blinder = 0n;
  readonly #hidden: ReferenceHidden;
  /** The polynomial that was opened. */
  opened: readonly bigint[] = [];
  /** Weights and values of each tensor in the claim sumcheck, and what is left of the values at the block variables. */
  #claimed: (Sum & { readonly name: TensorName; block: bigint[] })[] = [];

  constructor(
    key: ProofKey,
    statement: Statement,
    tensors: Tensors,
    hidden: ReferenceHidden,
    commit: Commit,
    options: CoreOptions,
  ) {
    super(key, statement, options);
    this.#tensors = new Map([...tensors].map(([name, cells]) => [name, cells.map((value) => this.mod(value))]));
    for (const { name, vars } of key.circuit.tensors) {
      const cells = hidden.tensors.get(name);
      if (cells !== undefined)
        this.#tensors.set(
          name,
          range(2 ** vars).map((i) => cells[i] ?? 0n),
        );
    }
    this.#hidden = hidden;
    this.#commit = commit;
  }

  readonly #equalities = (point: readonly bigint[]) => equalities(point, this.modulus);
  readonly #dot = (a: readonly bigint[], b: readonly bigint[]) => dot(a, b, this.modulus);
  readonly #bindTop = (table: readonly bigint[], x: bigint) => bindTop(table, x, this.modulus);
  readonly #termTable = (term: ClaimTerm<bigint>) => termTable(term, this.modulus);
  readonly #inverse = (value: bigint) => inverse(value, this.modulus);
  readonly #form = (form: Form, cells: Cells) => formTable(this.circuit, this.#tensors, form, cells, this.modulus);

  #challenge(id: string): bigint {
    return this.#points.get(id)!.at(0);
  }

  override challenges(id: string, count: number): Coordinates {
    const point = super.challenges(id, count);
    this.#points.set(id, point);
    return point;
  }

  override point(id: string, vars: number): Coordinates {
    const point = super.point(id, vars);
    this.#points.set(id, point);
    return point;
  }

  #column(slot: string, lane = 0, lanes = 1): bigint[] {
    const { tensor, offset, vars } = this.circuit.slots.get(slot)!;
    const size = 2 ** vars / lanes;
    return this.#tensors.get(tensor)!.slice(offset + lane * size, offset + (lane + 1) * size);
  }

  commitments(names: readonly TensorName[]): void {
    if (names.includes("helpers")) this.#makeHelpers();
    this.#send(names.flatMap((name) => this.#blocks(name)));
  }

  #blocks(name: TensorName): CurvePoint[] {
    const { blocks } = this.circuit.tensors.find((tensor) => tensor.name === name)!;
    const size = 2 ** this.circuit.settings.blockBits;
    const cells = this.#tensors.get(name)!;
    const blinders = this.#hidden.blinders.get(name);
    return range(blocks).map((i) => this.#commit(cells.slice(i * size, (i + 1) * size), blinders?.[i]));
  }

  #send(points: readonly CurvePoint[]): void {
    const words = points.flatMap(({ x, y }) => [x, y]);
    this.transcript.absorb(words);
    this.sent.push(...words);
  }

  #makeHelpers(): void {
    const layout = this.circuit.tensors.find(({ name }) => name === "helpers")!;
    const cells = range(2 ** layout.vars).map(() => 0n);
    for (const lookup of this.circuit.lookups) {
      const { offset } = this.circuit.slots.get(lookup.helper)!;
      const lanes = this.#lanes(lookup);
      for (const i of range(2 ** lookup.vars))
        cells[offset + i] = this.mod(
          lanes.reduce((sum, { numerator, denominator }) => sum + numerator[i]! * this.#inverse(denominator[i]!), 0n),
        );
    }
    this.#tensors.set("helpers", cells);
  }

  /** Numerators and denominators of the lanes of a lookup. */
  #lanes({ kind, vars, lanes, slot }: Lookup): { numerator: bigint[]; denominator: bigint[] }[] {
    const [alpha, beta] = [this.#challenge("alpha"), this.#challenge("beta")];
    const size = 2 ** vars;
    const id = this.omitted.has(TABLE_ID) ? 0n : beta * beta;
    return range(lanes).map((j) => {
      const fingerprint = {
        range: () => this.#column(slot, j, lanes),
        rangeTable: () => range(size).map((i) => BigInt(j * size + i)),
        pairs: () => this.#pairCells().map((value) => value + id),
        pairTable: () => this.#column("exponentials", j, lanes).map((e, i) => BigInt(j * size + i) + beta * e + id),
      }[kind]();
      return {
        numerator: kind.endsWith("Table")
          ? this.#column(slot, j, lanes).map((m) => this.mod(-m))
          : range(size).map(() => 1n),
        denominator: fingerprint.map((value) => this.mod(alpha - value)),
      };
    });
  }

  /** u + beta e. */
  #pairCells(): bigint[] {
    const group = this.circuit.products.find(({ name }) => name === "top")!;
    const distance = group.parts.find(({ name }) => name === "o.maximum is reached")!.right;
    const beta = this.#challenge("beta");
    const e = this.#column("o.exponential");
    return this.#form(distance, group.cells).map((u, i) => this.mod(u + beta * e[i]!));
  }

  /** Every relation as a sum of products of tables: helper prod d - sum n prod of the other d; factor right + rest. */
  #startZerocheck(): void {
    const gamma = this.#challenge("gamma");
    let weight = 1n;
    const next = (): bigint => {
      const own = weight;
      weight = this.mod(weight * gamma);
      return own;
    };
    for (const lookup of this.circuit.lookups) {
      const own = next();
      const lanes = this.#lanes(lookup);
      const denominators = lanes.map(({ denominator }) => denominator);
      this.#terms.push({ weight: own, tables: [this.#column(lookup.helper), ...denominators] });
      lanes.forEach(({ numerator }, j) =>
        this.#terms.push({ weight: this.mod(-own), tables: [numerator, ...denominators.filter((_, i) => i !== j)] }),
      );
    }
    for (const { cells, factor, parts } of this.circuit.products)
      for (const { name, right, rest } of parts) {
        const own = next();
        if (this.omitted.has(name)) continue;
        const table = (form: typeof rest) => this.#form(form, cells);
        const [masked, plain] = [true, false].map((kind) => ({
          ...rest,
          terms: rest.terms.filter((term) => (term.kind === "masked") === kind),
        }));
        this.#terms.push({ weight: own, tables: [table(factor), table(right)] });
        this.#terms.push({ weight: own, tables: [table(plain!)] });
        for (const term of masked!.terms) {
          const column = this.#column(term.slot).map((value) => this.mod(value * term.coefficient));
          this.#terms.push({ weight: own, tables: [column, this.#real(cells)] });
        }
      }
  }

  #real({ unitVars, units }: Cells): bigint[] {
    const { batch, batchVars } = this.circuit;
    return range(2 ** (batchVars + unitVars)).map((i) =>
      i % 2 ** batchVars < batch && Math.floor(i / 2 ** batchVars) < units ? 1n : 0n,
    );
  }

  /**
   * t(X) = sum over x of eq(tau, x) f(x, X, bound): the coefficients of X to X^5. A relation that does not have the
   * variable is constant in it.
   */
  #zerocheckRound(j: number): bigint[] {
    if (j === this.circuit.zerocheckVars - 1) this.#startZerocheck();
    const tau = coordinates(this.#points.get("tau")!, 0, j);
    const coefficients = range(6).map(() => 0n);
    for (const { weight, tables } of this.#terms) {
      if (tables[0]!.length <= 2 ** j) continue;
      this.#equalities(tau).forEach((eq, x) => {
        let polynomial = [(weight * eq) % this.modulus];
        for (const table of tables) {
          const [low, high] = [table[x]!, table[x + 2 ** j]!];
          polynomial = [...polynomial, 0n].map((_, e) =>
            this.mod((polynomial[e] ?? 0n) * low + (polynomial[e - 1] ?? 0n) * (high - low)),
          );
        }
        polynomial.forEach((value, e) => (coefficients[e]! += value));
      });
    }
    return coefficients.slice(1).map((value) => this.mod(value));
  }

  /** The extension of a table at r. */
  #at(table: readonly bigint[]): bigint {
    return extension(table, coordinates(this.#points.get("r")!, 0, Math.log2(table.length)), this.modulus);
  }

  /** Both factors of a product behind the zerocheck, each by the extensions of its columns. */
  #zerocheckFactors(name: string): [bigint, bigint] {
    const { lookups } = this.circuit;
    if (name.startsWith("range.")) return this.#rangeFactors(name);
    if (name !== "pairs") return this.#groupFactors(name);
    const lookup = lookups.find(({ kind }) => kind === "pairs")!;
    return [this.#at(this.#column(lookup.helper)), this.#at(this.#lanes(lookup)[0]!.denominator)];
  }

  #rangeFactors(name: string): [bigint, bigint] {
    const lookup = this.circuit.lookups.find(({ kind }) => kind === "range")!;
    const h = this.#at(this.#column(lookup.helper));
    const [a, b, c, d] = this.#lanes(lookup).map(({ denominator }) => this.#at(denominator)) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    switch (name) {
      case "range.upper":
        return [a, b];
      case "range.lower":
        return [c, d];
      case "range.helper":
        return [h, a * b];
      case "range.first":
        return [c * d, h * a * b - a - b];
      default:
        return [a * b, c + d];
    }
  }

  #groupFactors(name: string): [bigint, bigint] {
    const { circuit } = this;
    const gamma = this.#challenge("gamma");
    const index = circuit.products.findIndex((group) => group.name === name);
    const { factor, cells, parts } = circuit.products[index]!;
    const before = circuit.products.slice(0, index).reduce((total, own) => total + own.parts.length, 0);
    const right = parts.reduce((sum, { name: part, right: form }, i) => {
      if (this.omitted.has(part)) return sum;
      const weight = range(circuit.lookups.length + before + i).reduce((value) => this.mod(value * gamma), 1n);
      return sum + weight * this.#at(this.#form(form, cells));
    }, 0n);
    return [this.#at(this.#form(factor, cells)), right];
  }

  /** A(b, k) with the constant one of the bias, dense. */
  #inputsOf(layer: number): bigint[] {
    const { batch, batchVars, layers, program, statement, settings } = this.circuit;
    const { inputs, rowVars, biasRow } = layers[layer]!;
    const stride = 2 ** batchVars;
    const open = statement === "inference" && settings.input === "public";
    const source = layer > 0 ? this.#column(`h${layer - 1}.activation`) : open ? [] : this.#column("input");
    const rows = layer > 0 ? 2 ** layers[layer - 1]!.columnVars : inputs;
    return range(stride * 2 ** rowVars).map((i) => {
      const [b, row] = [i % stride, Math.floor(i / stride)];
      if (row === biasRow) return b < batch ? 1n << BigInt(program.layers[layer]!.inputScale) : 0n;
      if (row >= rows) return 0n;
      if (!open || layer > 0) return source[i]!;
      return b < batch ? this.mod(BigInt(this.statement.publicInput![b * inputs + row]!)) : 0n;
    });
  }

  #gradientOf(layer: number): bigint[] {
    const cells = {
      layer,
      unitVars: this.circuit.layers[layer]!.columnVars,
      units: this.circuit.layers[layer]!.outputs,
    };
    return this.#form(this.circuit.gradients[layer]!, cells);
  }

  /** The two operands of a contraction as functions of the summed index, the rest bound at r. */
  #operands({ kind, layer }: Contraction): { left: bigint[]; right: bigint[] } {
    const { batchVars, layers } = this.circuit;
    const { columnVars, rowVars } = layers[layer]!;
    const r = this.#points.get("r")!;
    const samples = this.#equalities(coordinates(r, 0, batchVars));
    const rows = this.#equalities(coordinates(r, batchVars + columnVars, kind === "update" ? rowVars : 0));
    const units = this.#equalities(coordinates(r, batchVars, columnVars));
    const weights = this.#column(`weights.${layer}`);
    const [stride, width] = [2 ** batchVars, 2 ** columnVars];
    if (kind === "forward")
      return {
        left: range(2 ** rowVars).map((k) =>
          this.#dot(samples, this.#inputsOf(layer).slice(k * stride, (k + 1) * stride)),
        ),
        right: range(2 ** rowVars).map((k) => this.#dot(units, weights.slice(k * width, (k + 1) * width))),
      };
    const gradient = this.#gradientOf(layer);
    if (kind === "backward") {
      const below = this.#equalities(coordinates(r, batchVars, layers[layer - 1]!.columnVars));
      return {
        left: range(width).map((o) => this.#dot(samples, gradient.slice(o * stride, (o + 1) * stride))),
        right: range(width).map((o) =>
          this.#dot(
            below,
            below.map((_, h) => weights[o + h * width]!),
          ),
        ),
      };
    }
    const inputs = this.#inputsOf(layer);
    const bound = (factors: readonly bigint[], table: readonly bigint[]) =>
      range(stride).map((b) =>
        this.#dot(
          factors,
          factors.map((_, k) => table[b + k * stride]!),
        ),
      );
    return { left: bound(rows, inputs), right: bound(units, gradient) };
  }

  #startContractions(): bigint {
    const { contractions, slots, tensors, batchVars } = this.circuit;
    const eta = this.#challenge("eta");
    const forms = contractions.filter(({ form }) => form !== null);
    const weight = (j: number): bigint => range(j).reduce((value) => this.mod(value * eta), 1n);
    this.#sums = contractions.map((contraction) => {
      const { left, right } = this.#operands(contraction);
      let factor = contraction.coefficient * weight(contraction.form ? forms.indexOf(contraction) : forms.length);
      if (contraction.kind === "update") {
        const { offset, vars } = slots.get(`weights.${contraction.layer}`)!;
        const above = tensors[0]!.vars - vars;
        factor *= this.#equalities(coordinates(this.#points.get("r")!, batchVars + vars, above))[offset / 2 ** vars]!;
      }
      return { name: contraction.name, factor: this.mod(factor), left, right };
    });
    return this.mod(this.#sums.reduce((total, { factor, left, right }) => total + factor * this.#dot(left, right), 0n));
  }

  /** c_0 and c_2 of the round; a product without the variable has the factor 1 - X. */
  #productRound(sums: readonly Sum[], j: number): bigint[] {
    let [c0, c2] = [0n, 0n];
    for (const { factor, left, right } of sums) {
      const half = 2 ** j;
      if (left.length <= half) {
        c0 += factor * this.#dot(left, right);
        continue;
      }
      const slope = (table: readonly bigint[]) => range(half).map((i) => this.mod(table[half + i]! - table[i]!));
      c0 += factor * this.#dot(left.slice(0, half), right.slice(0, half));
      c2 += factor * this.#dot(slope(left), slope(right));
    }
    return [this.mod(c0), this.mod(c2)];
  }

  #bindSums(sums: readonly Sum[], j: number, x: bigint): void {
    for (const sum of sums) {
      if (sum.left.length <= 2 ** j) {
        sum.factor = this.mod(sum.factor * (1n - x));
        continue;
      }
      sum.left = this.#bindTop(sum.left, x);
      sum.right = this.#bindTop(sum.right, x);
    }
  }

  protected message(id: string, _count: number, round: number, hiding: Hiding): bigint[] {
    const pads = this.#tensors.get("pads");
    const words = this.#answer(id, round).map((value, i) =>
      this.mod(pads !== undefined && "pads" in hiding ? value + pads[hiding.pads[i]!]! : value),
    );
    this.sent.push(...words);
    return words;
  }

  #answer(id: string, round: number): bigint[] {
    const { circuit } = this;
    switch (id) {
      case "zerocheck":
        if (round >= 0) return this.#zerocheckRound(round);
        return zerocheckProducts(circuit).flatMap((name) => this.#zerocheckFactors(name));
      case "exponentials":
        return [0, 1].map((lane) => this.#at(this.#column("exponentials", lane, 2)));
      case "contractions":
        return round < 0 ? [this.#startContractions()] : this.#productRound(this.#sums, round);
      case "operands":
        return this.#sums
          .filter(({ name }) => contractionProducts(circuit).includes(name))
          .flatMap(({ left, right }) => [left[0]!, right[0]!]);
      case "pads":
        return round < 0 ? this.#pairs.slice(0, 2).map((table) => table[0]!) : this.#padsRound(round);
      case "mask":
        return [
          this.#dot(
            this.#tensors.get("mask")!,
            range(2 ** circuit.settings.blockBits).map((i) => BigInt(i + 1)),
          ),
        ];
      case "blind":
        return [this.#claimed.find(({ name }) => name === "blind")!.right[0]!];
      case "blinder":
        return [this.#blinder];
      default:
        return this.#productRound(this.#claimed, round);
    }
  }

  /** t_1 and t_2 of the zerocheck of the pads' products. */
  #padsRound(j: number): bigint[] {
    const { productVars } = this.circuit.pads!;
    if (j === productVars - 1) this.#pairs = ["left", "right", "product"].map((part) => this.#column(`pads.${part}`));
    const weights = this.#equalities(coordinates(this.#points.get("pads.tau")!, 0, j));
    const at = (x: bigint): bigint => {
      const [a, b, ab] = this.#pairs.map((table) => this.#bindTop(table, x)) as [bigint[], bigint[], bigint[]];
      return this.mod(weights.reduce((sum, weight, i) => sum + weight * (a[i]! * b[i]! - ab[i]!), 0n));
    };
    // three values of a quadratic polynomial
    const [t0, t1, t2] = [at(0n), at(1n), at(2n)];
    const quadratic = this.mod((t2 - 2n * t1 + t0) * this.#inverse(2n));
    return [this.mod(t1 - t0 - quadratic), quadratic];
  }

  protected bound(id: string, round: number, x: bigint): void {
    if (id === "zerocheck") {
      for (const term of this.#terms)
        if (term.tables[0]!.length > 2 ** round) term.tables = term.tables.map((table) => this.#bindTop(table, x));
    } else if (id === "contractions") this.#bindSums(this.#sums, round, x);
    else if (id === "pads") this.#pairs = this.#pairs.map((table) => this.#bindTop(table, x));
    else {
      this.#bindSums(this.#claimed, round, x);
      if (round === this.circuit.settings.blockBits) for (const own of this.#claimed) own.block = own.right;
    }
  }

  claims(claims: readonly Claim<bigint>[], weights: Point<bigint>): void {
    this.#claimed = this.circuit.tensors.map(({ name, vars }) => {
      const left = range(2 ** vars).map(() => 0n);
      claims.forEach(({ terms }, j) => {
        for (const term of terms)
          if (term.tensor === name)
            this.#termTable(term).forEach((value, i) => (left[term.offset + i]! += weights.at(j) * value));
      });
      const right = this.#tensors.get(name)!;
      return { name, factor: 1n, left: left.map((value) => this.mod(value)), right, block: right };
    });
  }

  assertEqual(): void {
    // a prover answers; whether the answers hold is for the verifier to say
  }

  blockClaims(terms: readonly ClaimTerm<bigint>[]): void {
    for (const own of this.#claimed) {
      const joined = terms.filter(({ tensor }) => tensor === own.name);
      if (joined.length === 0) continue;
      const left = own.left.map((value) => value * own.factor);
      for (const term of joined) this.#termTable(term).forEach((value, i) => (left[term.offset + i]! += value));
      own.left = left.map((value) => this.mod(value));
      own.factor = 1n;
    }
  }

  combine(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>): void {
    const { tensors, settings } = this.circuit;
    this.#blinder = tensors.reduce((sum, { name, vars }) => {
      const blocks = this.#equalities(coordinates(rho, settings.blockBits, vars - settings.blockBits));
      const own = (this.#hidden.blinders.get(name) ?? []).reduce((total, value, i) => total + value * blocks[i]!, 0n);
      return this.mod(sum + coefficients.get(name)! * own);
    }, 0n);
  }

  open(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>): void {
    const { blockBits } = this.circuit.settings;
    const polynomial = range(2 ** blockBits).map((i) =>
      this.mod(this.#claimed.reduce((sum, { name, block }) => sum + coefficients.get(name)! * block[i]!, 0n)),
    );
    this.opened = polynomial;
    openPlainly(polynomial, coordinates(rho, 0, blockBits), this.modulus, {
      commit: (list) => this.#send(list.map((cells) => this.#commit(cells))),
      words: (values) => {
        this.transcript.absorb(values);
        this.sent.push(...values);
      },
      draw: () => this.transcript.draw(),
    });
  }

  end(): void {
    // everything is sent
  }
}
