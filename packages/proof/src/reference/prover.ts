// The prover once more, in BigInt and over dense tables: every message is computed from its definition. Slow, obvious,
// and the judge of the fast one: both must send the same bytes. One file, to be read beside the script from top to end.
import { concatBytes, word } from "@skynet/protocol";
import type { Cells, Contraction, Lookup, TensorName } from "../circuit/circuit.ts";
import type { Point as CurvePoint } from "../field/curve.ts";
import { inverse, mod, P } from "../field/fr.ts";
import type { Claim, Point } from "../script/backend.ts";
import { type Coordinates, Core, type CoreOptions } from "../script/core.ts";
import type { ProofKey } from "../script/key.ts";
import { isSquare, runScript, TABLE_ID, zerocheckWords } from "../script/script.ts";
import { encodePublicPart, type Statement } from "../script/statement.ts";
import { bindLow, bindTop, coordinates, dot, equalities, extension, range, termTable } from "./dense.ts";
import { formTable, type Tensors } from "./witness.ts";

/** Commitment of a polynomial by its coefficients. */
export type Commit = (coefficients: readonly bigint[]) => CurvePoint;

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

export async function provePlainly(
  key: ProofKey,
  statement: Statement,
  tensors: Tensors,
  commit: Commit,
  options: CoreOptions = {},
): Promise<Uint8Array> {
  const prover = new ReferenceProver(key, statement, tensors, commit, options);
  await runScript(prover);
  return concatBytes(encodePublicPart(key.circuit, statement), ...prover.sent.map(word));
}

class ReferenceProver extends Core {
  readonly sent: bigint[] = [];
  readonly #tensors: Tensors;
  readonly #commit: Commit;
  readonly #points = new Map<string, Coordinates>();
  #terms: Term[] = [];
  #sums: Sum[] = [];
  /** Weights and values of each tensor in the claim sumcheck, and what is left of the values at the block variables. */
  #claimed: (Sum & { readonly name: TensorName; block: bigint[] })[] = [];

  constructor(key: ProofKey, statement: Statement, tensors: Tensors, commit: Commit, options: CoreOptions) {
    super(key, statement, options);
    this.#tensors = new Map([...tensors].map(([name, cells]) => [name, cells.map((value) => mod(value))]));
    this.#commit = commit;
  }

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
    return range(blocks).map((i) => this.#commit(cells.slice(i * size, (i + 1) * size)));
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
        cells[offset + i] = mod(
          lanes.reduce((sum, { numerator, denominator }) => sum + numerator[i]! * inverse(denominator[i]!), 0n),
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
        pairs: () => this.#pairs().map((value) => value + id),
        pairTable: () => this.#column("exponentials", j, lanes).map((e, i) => BigInt(j * size + i) + beta * e + id),
      }[kind]();
      return {
        numerator: kind.endsWith("Table")
          ? this.#column(slot, j, lanes).map((m) => mod(-m))
          : range(size).map(() => 1n),
        denominator: fingerprint.map((value) => mod(alpha - value)),
      };
    });
  }

  /** u + beta e. */
  #pairs(): bigint[] {
    const group = this.circuit.products.find(({ name }) => name === "top")!;
    const distance = group.parts.find(({ name }) => name === "o.maximum is reached")!.right;
    const beta = this.#challenge("beta");
    const e = this.#column("o.exponential");
    return formTable(this.circuit, this.#tensors, distance, group.cells).map((u, i) => mod(u + beta * e[i]!));
  }

  /** Every relation as a sum of products of tables: helper prod d - sum n prod of the other d; factor right + rest. */
  #startZerocheck(): void {
    const gamma = this.#challenge("gamma");
    let weight = 1n;
    const next = (): bigint => {
      const own = weight;
      weight = mod(weight * gamma);
      return own;
    };
    for (const lookup of this.circuit.lookups) {
      const own = next();
      const lanes = this.#lanes(lookup);
      const denominators = lanes.map(({ denominator }) => denominator);
      this.#terms.push({ weight: own, tables: [this.#column(lookup.helper), ...denominators] });
      lanes.forEach(({ numerator }, j) =>
        this.#terms.push({ weight: mod(-own), tables: [numerator, ...denominators.filter((_, i) => i !== j)] }),
      );
    }
    for (const { cells, factor, parts } of this.circuit.products)
      for (const { name, right, rest } of parts) {
        const own = next();
        if (this.omitted.has(name)) continue;
        const table = (form: typeof rest) => formTable(this.circuit, this.#tensors, form, cells);
        const [masked, plain] = [true, false].map((kind) => ({
          ...rest,
          terms: rest.terms.filter((term) => (term.kind === "masked") === kind),
        }));
        this.#terms.push({ weight: own, tables: [table(factor), table(right)] });
        this.#terms.push({ weight: own, tables: [table(plain!)] });
        for (const term of masked!.terms) {
          const column = this.#column(term.slot).map((value) => mod(value * term.coefficient));
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
      equalities(tau).forEach((eq, x) => {
        let polynomial = [(weight * eq) % P];
        for (const table of tables) {
          const [low, high] = [table[x]!, table[x + 2 ** j]!];
          polynomial = [...polynomial, 0n].map((_, e) =>
            mod((polynomial[e] ?? 0n) * low + (polynomial[e - 1] ?? 0n) * (high - low)),
          );
        }
        polynomial.forEach((value, e) => (coefficients[e]! += value));
      });
    }
    return coefficients.slice(1).map((value) => mod(value));
  }

  /** The values of columns and forms at r, each by its own extension. */
  #zerocheckWords(): bigint[] {
    const { circuit } = this;
    const at = (table: readonly bigint[]) =>
      extension(table, coordinates(this.#points.get("r")!, 0, Math.log2(table.length)));
    const gamma = this.#challenge("gamma");
    return zerocheckWords(circuit).map((name) => {
      const [subject, detail] = name.split(".") as [string, string?];
      if (name === "pair") return at(this.#pairs());
      if (subject === "range") return at(this.#column("ranged", Number(detail), 4));
      if (subject === "pairTable") return at(this.#column("exponentials", Number(detail), 2));
      const index = circuit.products.findIndex((group) => group.name === subject);
      const group = circuit.products[index]!;
      if (detail === "factor" || isSquare(group))
        return at(formTable(circuit, this.#tensors, group.factor, group.cells));
      const before = circuit.products.slice(0, index).reduce((total, { parts }) => total + parts.length, 0);
      return mod(
        group.parts.reduce((sum, { name: part, right }, i) => {
          if (this.omitted.has(part)) return sum;
          const weight = range(circuit.lookups.length + before + i).reduce((value) => mod(value * gamma), 1n);
          return sum + weight * at(formTable(circuit, this.#tensors, right, group.cells));
        }, 0n),
      );
    });
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
      return b < batch ? mod(BigInt(this.statement.publicInput![b * inputs + row]!)) : 0n;
    });
  }

  #gradientOf(layer: number): bigint[] {
    const cells = {
      layer,
      unitVars: this.circuit.layers[layer]!.columnVars,
      units: this.circuit.layers[layer]!.outputs,
    };
    return formTable(this.circuit, this.#tensors, this.circuit.gradients[layer]!, cells);
  }

  /** The two operands of a contraction as functions of the summed index, the rest bound at r. */
  #operands({ kind, layer }: Contraction): { left: bigint[]; right: bigint[] } {
    const { batchVars, layers } = this.circuit;
    const { columnVars, rowVars } = layers[layer]!;
    const r = this.#points.get("r")!;
    const samples = equalities(coordinates(r, 0, batchVars));
    const rows = equalities(coordinates(r, batchVars + columnVars, kind === "update" ? rowVars : 0));
    const units = equalities(coordinates(r, batchVars, columnVars));
    const weights = this.#column(`weights.${layer}`);
    const [stride, width] = [2 ** batchVars, 2 ** columnVars];
    if (kind === "forward")
      return {
        left: range(2 ** rowVars).map((k) => dot(samples, this.#inputsOf(layer).slice(k * stride, (k + 1) * stride))),
        right: range(2 ** rowVars).map((k) => dot(units, weights.slice(k * width, (k + 1) * width))),
      };
    const gradient = this.#gradientOf(layer);
    if (kind === "backward") {
      const below = equalities(coordinates(r, batchVars, layers[layer - 1]!.columnVars));
      return {
        left: range(width).map((o) => dot(samples, gradient.slice(o * stride, (o + 1) * stride))),
        right: range(width).map((o) =>
          dot(
            below,
            below.map((_, h) => weights[o + h * width]!),
          ),
        ),
      };
    }
    const inputs = this.#inputsOf(layer);
    const bound = (factors: readonly bigint[], table: readonly bigint[]) =>
      range(stride).map((b) =>
        dot(
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
    const weight = (j: number): bigint => range(j).reduce((value) => mod(value * eta), 1n);
    this.#sums = contractions.map((contraction) => {
      const { left, right } = this.#operands(contraction);
      let factor = contraction.coefficient * weight(contraction.form ? forms.indexOf(contraction) : forms.length);
      if (contraction.kind === "update") {
        const { offset, vars } = slots.get(`weights.${contraction.layer}`)!;
        const above = tensors[0]!.vars - vars;
        factor *= equalities(coordinates(this.#points.get("r")!, batchVars + vars, above))[offset / 2 ** vars]!;
      }
      return { factor: mod(factor), left, right };
    });
    return mod(this.#sums.reduce((total, { factor, left, right }) => total + factor * dot(left, right), 0n));
  }

  /** c_0 and c_2 of the round; a product without the variable has the factor 1 - X. */
  #productRound(sums: readonly Sum[], j: number): bigint[] {
    let [c0, c2] = [0n, 0n];
    for (const { factor, left, right } of sums) {
      const half = 2 ** j;
      if (left.length <= half) {
        c0 += factor * dot(left, right);
        continue;
      }
      const slope = (table: readonly bigint[]) => range(half).map((i) => mod(table[half + i]! - table[i]!));
      c0 += factor * dot(left.slice(0, half), right.slice(0, half));
      c2 += factor * dot(slope(left), slope(right));
    }
    return [mod(c0), mod(c2)];
  }

  #bindSums(sums: readonly Sum[], j: number, x: bigint): void {
    for (const sum of sums) {
      if (sum.left.length <= 2 ** j) {
        sum.factor = mod(sum.factor * (1n - x));
        continue;
      }
      sum.left = bindTop(sum.left, x);
      sum.right = bindTop(sum.right, x);
    }
  }

  protected message(id: string, _count: number, round: number): bigint[] {
    const words = this.#answer(id, round);
    this.sent.push(...words);
    return words;
  }

  #answer(id: string, round: number): bigint[] {
    if (id === "zerocheck") return round < 0 ? this.#zerocheckWords() : this.#zerocheckRound(round);
    if (id === "contractions") return round < 0 ? [this.#startContractions()] : this.#productRound(this.#sums, round);
    if (id === "operands") return this.#sums.flatMap(({ left, right }) => [left[0]!, right[0]!]);
    return this.#productRound(this.#claimed, round);
  }

  protected bound(id: string, round: number, x: bigint): void {
    if (id === "zerocheck") {
      for (const term of this.#terms)
        if (term.tables[0]!.length > 2 ** round) term.tables = term.tables.map((table) => bindTop(table, x));
    } else if (id === "contractions") this.#bindSums(this.#sums, round, x);
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
            termTable(term).forEach((value, i) => (left[term.offset + i]! += weights.at(j) * value));
      });
      const right = this.#tensors.get(name)!;
      return { name, factor: 1n, left: left.map((value) => mod(value)), right, block: right };
    });
  }

  assertEqual(): void {
    // a prover answers; whether the answers hold is for the verifier to say
  }

  open(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>): void {
    const { blockBits } = this.circuit.settings;
    const combined = range(2 ** blockBits).map((i) =>
      mod(this.#claimed.reduce((sum, { name, block }) => sum + coefficients.get(name)! * block[i]!, 0n)),
    );
    const folds = [combined];
    for (const i of range(blockBits - 1)) folds.push(bindLow(folds[i]!, rho.at(i)));
    this.#send(folds.slice(1).map(this.#commit));
    const r = this.transcript.draw();
    const r2 = mod(r * r);
    const half = (fold: readonly bigint[], parity: number) =>
      evaluate(
        fold.filter((_, i) => i % 2 === parity),
        r2,
      );
    this.#words([...folds.flatMap((fold) => [half(fold, 0), half(fold, 1)]), evaluate(combined, r2)]);
    const q = this.transcript.draw();
    const batched = combined.map((_, i) => mod(folds.reduceRight((sum, fold) => sum * q + (fold[i] ?? 0n), 0n)));
    const [even, odd] = [half(batched, 0), half(batched, 1)];
    const kappa = mod((evaluate(batched, r2) - even - odd * r2) * inverse(mod(r2 * r2 - r2)));
    this.#words([kappa]);
    // batched = even + odd X + kappa (X^2 - r^2) + (X - r)(X + r)(X - r^2) quotient
    const rest = [...batched];
    rest[0] = mod(rest[0]! - even + kappa * r2);
    rest[1] = mod(rest[1]! - odd);
    rest[2] = mod((rest[2] ?? 0n) - kappa);
    const quotient = [r, -r, r2].reduce(divideExactly, rest);
    this.#send([this.#commit(quotient)]);
    const z = this.transcript.draw();
    const vanishing = mod((z * z - r2) * (z - r2));
    const value = mod(even + odd * z + kappa * (z * z - r2));
    const all = batched.map((coefficient, i) => mod(coefficient - vanishing * (quotient[i] ?? 0n)));
    if (evaluate(all, z) !== value) throw new Error("the quotient is not exact");
    all[0] = mod(all[0]! - value);
    this.#send([this.#commit(divideExactly(all, z))]);
  }

  #words(values: bigint[]): void {
    this.transcript.absorb(values);
    this.sent.push(...values);
  }

  end(): void {
    // everything is sent
  }
}

function evaluate(coefficients: readonly bigint[], x: bigint): bigint {
  return coefficients.reduceRight((value, coefficient) => mod(value * x + coefficient), 0n);
}

/** The quotient by X - root of a polynomial that vanishes there. */
function divideExactly(coefficients: readonly bigint[], root: bigint): bigint[] {
  const quotient: bigint[] = [];
  let carry = 0n;
  for (let i = coefficients.length - 1; i > 0; i--) {
    carry = mod(carry * root + coefficients[i]!);
    quotient[i - 1] = carry;
  }
  return quotient;
}
