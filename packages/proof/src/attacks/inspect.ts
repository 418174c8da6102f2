import type { TensorName } from "../circuit/circuit.ts";
import { mod, P } from "../field/fr.ts";
import { dot, range, termTable } from "../reference/dense.ts";
import { formTable, type Tensors } from "../reference/witness.ts";
import type { Claim, Point } from "../script/backend.ts";
import { type Coordinates, Core, foldEvaluations } from "../script/core.ts";
import type { ProofKey } from "../script/key.ts";
import { runScript } from "../script/script.ts";
import { publicBytes, type Statement } from "../script/statement.ts";
import { unword } from "../script/transcript.ts";
import type { Forgery } from "./subject.ts";

/** What is false about a proof, known from what the prover committed to. */
export interface Findings {
  /** Product relations that some cell does not satisfy. */
  readonly relations: readonly string[];
  /** Claims whose value is not that of the committed tensors, and by how much. */
  readonly claims: ReadonlyMap<string, bigint>;
  readonly allClaims: readonly string[];
  /** What the verifier's equations lack: left - right by the name of the check. */
  readonly checks: ReadonlyMap<string, bigint>;
  /** Where the words of each message begin in the proof. */
  readonly at: ReadonlyMap<string, number>;
  readonly drawn: ReadonlyMap<string, bigint>;
}

/** Reads a proof as the verifier does, and compares each claim with the tensors instead of opening them. */
export async function inspect(key: ProofKey, { header, proof, tensors, omitted }: Forgery): Promise<Findings> {
  const inspector = new Inspector(key, header as Statement, proof, tensors, omitted);
  await runScript(inspector);
  return inspector.findings();
}

class Inspector extends Core {
  readonly #proof: Uint8Array;
  readonly #tensors: Tensors;
  #at: number;
  readonly #places = new Map<string, number>();
  readonly #claims = new Map<string, bigint>();
  readonly #allClaims: string[] = [];
  readonly #checks = new Map<string, bigint>();
  readonly #drawn = new Map<string, bigint>();

  constructor(key: ProofKey, statement: Statement, proof: Uint8Array, tensors: Tensors, omitted: ReadonlySet<string>) {
    super(key, statement, { omitted });
    this.#proof = proof;
    this.#tensors = new Map([...tensors].map(([name, cells]) => [name, cells.map((value) => mod(value))]));
    this.#at = publicBytes(key.circuit);
  }

  #take(name: string, count: number): bigint[] {
    if (!this.#places.has(name)) this.#places.set(name, this.#at);
    const start = this.#at;
    this.#at += 32 * count;
    return range(count).map((i) => unword(this.#proof.subarray(start + 32 * i, start + 32 * (i + 1))));
  }

  commitments(names: readonly TensorName[]): void {
    const blocks = names.map((name) => this.circuit.tensors.find((tensor) => tensor.name === name)!.blocks);
    this.transcript.absorb(this.#take(names.join(), 2 * blocks.reduce((a, b) => a + b)));
  }

  override challenges(id: string, count: number): Coordinates {
    const point = super.challenges(id, count);
    this.#drawn.set(id, point.at(0));
    return point;
  }

  protected message(id: string, count: number, round: number): bigint[] {
    return this.#take(round < 0 ? id : `${id}/${round}`, count);
  }

  protected bound(): void {
    // nothing is folded
  }

  claims(claims: readonly Claim<bigint>[]): void {
    for (const { name, value, terms } of claims) {
      this.#allClaims.push(name);
      const actual = terms.reduce((sum, term) => {
        const table = termTable(term);
        return sum + dot(table, this.#tensors.get(term.tensor)!.slice(term.offset, term.offset + table.length));
      }, 0n);
      if (mod(actual - value) !== 0n) this.#claims.set(name, mod(actual - value));
    }
  }

  assertEqual(a: bigint, b: bigint, name: string): void {
    if (mod(a - b) !== 0n) this.#checks.set(name, mod(a - b));
  }

  blockClaims(): void {
    // the claims are what is compared
  }

  combine(): void {
    // nothing is opened
  }

  open(rho: Point<bigint>, _: ReadonlyMap<TensorName, bigint>, value: bigint): void {
    const { blockBits } = this.circuit.settings;
    this.transcript.absorb(this.#take("folds", 2 * (blockBits - 1)));
    const r = this.transcript.draw();
    const words = this.words("evaluations", Array<string>(2 * blockBits + 1).fill(""), { clear: "blind" });
    const q = this.transcript.draw();
    const [kappa] = this.words("kappa", ["kappa"], { clear: "blind" }) as [bigint];
    this.#drawn.set("r", r).set("q", q);
    const { even, odd, atSquare, last } = foldEvaluations(words, rho, this.powers(q, blockBits), blockBits);
    const r2 = (r * r) % P;
    this.assertEqual(last, value, "opening fold");
    this.assertEqual(even + odd * r2 + kappa * (r2 * r2 - r2), atSquare, "opening interpolation");
  }

  end(): void {
    // lengths are for the verifiers
  }

  findings(): Findings {
    const relations = this.circuit.products.flatMap(({ cells, factor, parts }) => {
      const table = (form: typeof factor) => formTable(this.circuit, this.#tensors, form, cells);
      const left = table(factor);
      return parts
        .filter(({ name, right, rest }) => {
          const [a, b] = [table(right), table(rest)];
          return !this.omitted.has(name) && left.some((value, i) => mod(value * a[i]! + b[i]!) !== 0n);
        })
        .map(({ name }) => name);
    });
    const { slots, pads } = this.circuit;
    const [left, right, product] = ["left", "right", "product"].map((part) => {
      const slot = slots.get(`pads.${part}`);
      return slot === undefined ? [] : this.#tensors.get("pads")!.slice(slot.offset, slot.offset + 2 ** slot.vars);
    }) as [bigint[], bigint[], bigint[]];
    if (pads !== null && left.some((value, k) => mod(value * right[k]! - product[k]!) !== 0n))
      relations.push("product of pads");
    return {
      relations,
      claims: this.#claims,
      allClaims: this.#allClaims,
      checks: this.#checks,
      at: this.#places,
      drawn: this.#drawn,
    };
  }
}
