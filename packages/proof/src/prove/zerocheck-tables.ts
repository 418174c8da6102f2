import type { Cells, FormTerm, Lookup } from "../circuit/circuit.ts";
import { inverse, mod, P } from "../field/fr.ts";
import { TABLE_ID } from "../script/script.ts";
import type { Vector } from "../vectors/field-vectors.ts";
import type { Tables } from "./tables.ts";

/** Tables of one lookup: helper, denominators, and the numerators of table sides. */
interface LookupTables {
  readonly lookup: Lookup;
  helper: Vector;
  denominators: Vector[];
  numerators: Vector[] | null;
  /** gamma power. */
  weight: bigint;
}

/** Tables of one group of products: factor right + rest + masked mask = 0. */
interface GroupTables {
  readonly name: string;
  readonly cells: Cells;
  readonly vars: number;
  tables: Vector[];
  readonly terms: { coefficient: bigint; factors: number[] }[];
}

/** The prover's side of the zerocheck: see `zerocheck` in the script. */
export class ZerocheckTables {
  readonly #tables: Tables;
  readonly #omitted: ReadonlySet<string>;
  readonly #lookups: LookupTables[] = [];
  readonly #groups: GroupTables[] = [];
  #alpha = 0n;
  #beta = 0n;
  #equality: Vector | undefined;
  readonly #point: bigint[] = [];

  constructor(tables: Tables, omitted: ReadonlySet<string>) {
    this.#tables = tables;
    this.#omitted = omitted;
  }

  /** Computes the tensor of helpers: for each lookup the sums of numerator / denominator over its lanes. */
  makeHelpers(alpha: bigint, beta: bigint): Vector {
    this.#alpha = alpha;
    this.#beta = beta;
    const { vectors, circuit } = this.#tables;
    const layout = circuit.tensors.find(({ name }) => name === "helpers")!;
    const all = vectors.zeros(2 ** layout.vars);
    for (const lookup of circuit.lookups) {
      const { denominators, numerators } = this.#fractions(lookup);
      const { offset, vars } = circuit.slots.get(lookup.helper)!;
      const helper = vectors.slice(all, offset, 2 ** vars);
      const mark = vectors.mark();
      denominators.forEach((denominator, j) => {
        const inverses = vectors.copy(denominator);
        vectors.invert(inverses);
        vectors.add(helper, numerators === null ? inverses : vectors.multiply(inverses, numerators[j]!));
      });
      vectors.release(mark);
      this.#lookups.push({ lookup, helper, denominators, numerators, weight: 0n });
    }
    this.#tables.set("helpers", [], all);
    return all;
  }

  replaceHelpers(cells: readonly bigint[]): void {
    const { vectors, circuit } = this.#tables;
    const all = vectors.fromBigInts(cells);
    for (const own of this.#lookups) {
      const { offset, vars } = circuit.slots.get(own.lookup.helper)!;
      own.helper = vectors.slice(all, offset, 2 ** vars);
    }
    this.#tables.set("helpers", [], all);
  }

  #fractions({ kind, vars, lanes, slot }: Lookup): { denominators: Vector[]; numerators: Vector[] | null } {
    const { vectors } = this.#tables;
    const size = 2 ** vars;
    const lane = (name: string, j: number) => this.#tables.column(name, j, lanes);
    const square = this.#tableId();
    if (kind === "range")
      return {
        denominators: Array.from({ length: lanes }, (_, j) => vectors.subtractFrom(this.#alpha, lane(slot, j))),
        numerators: null,
      };
    if (kind === "pairs") {
      const pair = this.#pairs();
      return { denominators: [vectors.subtractFrom(mod(this.#alpha - square), pair)], numerators: null };
    }
    const denominators = Array.from({ length: lanes }, (_, j) => {
      const place = vectors.fromIntegers(Int32Array.from({ length: size }, (_, i) => i + j * size));
      if (kind === "rangeTable") return vectors.subtractFrom(this.#alpha, place);
      vectors.addScaled(place, lane("exponentials", j), this.#beta);
      return vectors.subtractFrom(mod(this.#alpha - square), place);
    });
    const numerators = denominators.map((_, j) => vectors.subtractFrom(0n, lane(slot, j)));
    return { denominators, numerators };
  }

  #tableId(): bigint {
    return this.#omitted.has(TABLE_ID) ? 0n : mod(this.#beta * this.#beta);
  }

  /** u + beta e of every class cell. */
  #pairs(): Vector {
    const { vectors, circuit } = this.#tables;
    const group = circuit.products.find(({ name }) => name === "top")!;
    const distance = group.parts.find(({ name }) => name === "o.maximum is reached")!.right;
    const pair = vectors.zeros(this.#tables.cellCount(group.cells));
    this.#tables.addForm(pair, distance, group.cells, 1n);
    vectors.addScaled(pair, this.#tables.column("o.exponential"), this.#beta);
    return pair;
  }

  start(gamma: bigint, tau: readonly bigint[]): void {
    const { vectors, circuit } = this.#tables;
    let weight = 1n;
    const next = () => {
      const own = weight;
      weight = mod(weight * gamma);
      return own;
    };
    for (const own of this.#lookups) {
      own.weight = next();
      // the committed helpers are opened later, so the rounds fold copies
      own.helper = vectors.copy(own.helper);
    }
    for (const group of circuit.products) this.#startGroup(group, next);
    this.#equality = vectors.equality(tau.slice(0, circuit.zerocheckVars - 1));
  }

  #startGroup(group: Tables["circuit"]["products"][number], next: () => bigint): void {
    const { vectors, circuit } = this.#tables;
    const { cells, factor, parts } = group;
    const size = this.#tables.cellCount(cells);
    const [left, right, rest, masked] = [0, 0, 0, 0].map(() => vectors.zeros(size)) as [Vector, Vector, Vector, Vector];
    this.#tables.addForm(left, factor, cells, 1n);
    let hasMask = false;
    for (const part of parts) {
      const weight = next();
      if (this.#omitted.has(part.name)) continue;
      this.#tables.addForm(right, part.right, cells, weight);
      this.#tables.addForm(rest, part.rest, cells, weight);
      for (const term of part.rest.terms) hasMask = this.#addMasked(masked, term, weight) || hasMask;
    }
    const terms = [
      { coefficient: 1n, factors: [0, 1] },
      { coefficient: 1n, factors: [2] },
    ];
    const tables = [left, right, rest];
    if (hasMask) {
      tables.push(masked, vectors.outer(this.#tables.samples(), this.#tables.units(cells)));
      terms.push({ coefficient: 1n, factors: [3, 4] });
    }
    this.#groups.push({ cells, vars: circuit.batchVars + cells.unitVars, name: group.name, tables, terms });
  }

  #addMasked(target: Vector, { kind, slot, coefficient }: FormTerm, weight: bigint): boolean {
    if (kind !== "masked") return false;
    this.#tables.vectors.addScaled(target, this.#tables.column(slot), weight * coefficient);
    return true;
  }

  /** Values at 0 ... 5 of this round's polynomial; what has fewer variables does not contribute yet. */
  round(j: number): bigint[] {
    const { vectors } = this.#tables;
    const total = Array<bigint>(6).fill(0n);
    const add = (values: readonly bigint[], weight: bigint) => {
      values.forEach((value, i) => (total[i] = mod(total[i]! + value * weight)));
    };
    const equality = this.#equality!;
    for (const { lookup, helper, denominators, numerators, weight } of this.#lookups)
      if (lookup.vars > j) add(vectors.lookupRound(equality, helper, denominators, numerators), weight);
    for (const { vars, tables, terms } of this.#groups)
      if (vars > j) add(vectors.termsRound(equality, tables, terms), 1n);
    return total;
  }

  bind(j: number, x: bigint): void {
    const { vectors } = this.#tables;
    const fold = (vector: Vector) => vectors.fold(vector, x);
    for (const own of this.#lookups) {
      if (own.lookup.vars <= j) continue;
      own.helper = fold(own.helper);
      own.denominators = own.denominators.map(fold);
      own.numerators = own.numerators?.map(fold) ?? null;
    }
    for (const own of this.#groups) if (own.vars > j) own.tables = own.tables.map(fold);
    if (j > 0) this.#equality = vectors.sumHalves(this.#equality!);
    this.#point[j] = x;
  }

  /** Both factors of each product behind the zerocheck: what helpers, denominators and factors have become. */
  factors(): Map<string, readonly [bigint, bigint]> {
    const { vectors } = this.#tables;
    const factors = new Map<string, readonly [bigint, bigint]>();
    for (const { lookup, helper, denominators } of this.#lookups) {
      const h = vectors.get(helper, 0);
      const d = denominators.map((vector) => vectors.get(vector, 0));
      if (lookup.kind === "pairs") factors.set("pairs", [h, d[0]!]);
      if (lookup.kind !== "range") continue;
      const [d0, d1, d2, d3] = d as [bigint, bigint, bigint, bigint];
      const [upper, lower] = [(d0 * d1) % P, (d2 * d3) % P];
      factors.set("range.upper", [d0, d1]);
      factors.set("range.lower", [d2, d3]);
      factors.set("range.helper", [h, upper]);
      factors.set("range.first", [lower, mod(h * upper - d0 - d1)]);
      factors.set("range.second", [upper, mod(d2 + d3)]);
    }
    for (const { name, tables } of this.#groups)
      factors.set(name, [vectors.get(tables[0]!, 0), vectors.get(tables[1]!, 0)]);
    return factors;
  }

  /** Values of the table of exponentials at the point. */
  exponentials(): bigint[] {
    const own = this.#lookups.find(({ lookup }) => lookup.kind === "pairTable")!;
    return this.#pairTableWords(
      own.lookup,
      own.denominators.map((vector) => this.#tables.vectors.get(vector, 0)),
    );
  }

  /** exponentials = (alpha - d - index - beta^2) / beta. */
  #pairTableWords({ vars }: Lookup, denominators: readonly bigint[]): bigint[] {
    let index = 0n;
    for (let k = 0; k < vars; k++) index += this.#point[k]! << BigInt(k);
    const scale = inverse(this.#beta);
    return denominators.map((d, j) => {
      const place = index + BigInt(j * 2 ** vars);
      return (mod(this.#alpha - d - place - this.#tableId()) * scale) % P;
    });
  }
}
