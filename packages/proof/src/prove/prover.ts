import { concatBytes, word } from "@skynet/protocol";
import type { TensorName } from "../circuit/circuit.ts";
import { ProofError } from "../errors.ts";
import type { Point as CurvePoint } from "../field/curve.ts";
import { contractionProducts, ZEROCHECK_DEGREE, zerocheckProducts } from "../circuit/hidden.ts";
import { mod } from "../field/fr.ts";
import { blindAll, type Blinders, noBlinders } from "../hiding/blinders.ts";
import type { Secrets } from "../hiding/secrets.ts";
import type { Claim, ClaimTerm, Point } from "../script/backend.ts";
import { Coordinates, Core, type CoreOptions } from "../script/core.ts";
import type { Hiding } from "../script/hiding.ts";
import type { ProofKey } from "../script/key.ts";
import { runScript } from "../script/script.ts";
import { encodePublicPart, type Statement } from "../script/statement.ts";
import type { Committer } from "../vectors/committer.ts";
import type { FieldVectors, Vector } from "../vectors/field-vectors.ts";
import type { Scalars } from "../vectors/multiexp.ts";
import { ClaimTables } from "./claim-tables.ts";
import { ContractionTables } from "./contraction-tables.ts";
import { interpolate } from "./interpolate.ts";
import { Opening } from "./opening.ts";
import { PadTables } from "./pad-tables.ts";
import { Tables } from "./tables.ts";
import type { Witness } from "./witness.ts";
import { ZerocheckTables } from "./zerocheck-tables.ts";

/** Where the prover works: field vectors on this thread, commitments perhaps on several. */
export interface ProverModules {
  readonly vectors: FieldVectors;
  readonly committer: Committer;
}

/** What a malicious prover of the tests changes; everything after the change is computed honestly. */
export interface Interference {
  /** Scalars as they are sent, pads included. */
  message?(id: string, round: number, values: readonly bigint[]): bigint[] | undefined;
  helpers?(helpers: bigint[]): void;
  commitments?(name: string, points: CurvePoint[]): void;
  operands?(name: string, left: bigint[], right: bigint[]): void;
  folds?(folds: Vector[], vectors: FieldVectors, value: bigint): void;
  /** Messages that are sent but not absorbed. */
  readonly unabsorbed?: ReadonlySet<string>;
}

/** What only the prover knows beside the witness: the blinders of the statement's tensors, and its own randomness. */
export interface HiddenPart {
  readonly blinders: ReadonlyMap<TensorName, Blinders>;
  readonly secrets: Secrets;
}

export interface ProveOptions extends CoreOptions {
  readonly interference?: Interference;
  readonly signal?: AbortSignal;
  /** Called with the share of the work that is done, 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Proves a statement. The witness holds every tensor of the circuit but the helpers and the randomness. The proof is not
 * checked here: a caller that submits it verifies it first.
 * @returns the proof with its public part in front
 * @throws ProofError `RepeatedRandomness` when a proof was made, or begun, with the same secrets; the signal's reason
 */
export async function prove(
  modules: ProverModules,
  key: ProofKey,
  statement: Statement,
  witness: Witness,
  hidden: HiddenPart,
  options: ProveOptions = {},
): Promise<Uint8Array> {
  if (spent.has(hidden.secrets.id))
    throw new ProofError("RepeatedRandomness", "the randomness of a proof is used twice");
  spent.add(hidden.secrets.id);
  const mark = modules.vectors.mark();
  try {
    const prover = new Prover(modules, key, statement, witness, hidden, options);
    await runScript(prover);
    return concatBytes(encodePublicPart(key.circuit, statement), ...prover.sent.map(word));
  } finally {
    modules.vectors.release(mark);
  }
}

/** Randomness of the proofs so far: two proofs with the same pads would reveal the difference of what they hide. */
const spent = new Set<string>();

/** Share of the whole work that is done when a message goes out; from measurements, for progress only. */
const PROGRESS: Readonly<Record<string, number>> = {
  auxiliary: 0.1,
  helpers: 0.3,
  zerocheck: 0.4,
  operands: 0.45,
  folds: 0.75,
  quotient: 0.9,
};

class Prover extends Core {
  readonly sent: bigint[] = [];
  readonly #modules: ProverModules;
  readonly #options: ProveOptions;
  readonly #interference: Interference;
  readonly #tables: Tables;
  readonly #drawn = new Map<string, readonly bigint[]>();
  readonly #zerocheck: ZerocheckTables;
  readonly #blinders: ReadonlyMap<TensorName, Blinders>;
  readonly #pads: readonly bigint[];
  #padProducts: PadTables | undefined;
  #blinder = 0n;
  #point: Coordinates | undefined;
  #contractions: ContractionTables | undefined;
  #claims: ClaimTables | undefined;

  constructor(
    modules: ProverModules,
    key: ProofKey,
    statement: Statement,
    witness: Witness,
    { blinders, secrets }: HiddenPart,
    options: ProveOptions,
  ) {
    super(key, statement, options);
    this.#modules = modules;
    this.#options = options;
    this.#interference = options.interference ?? {};
    this.#tables = new Tables(modules.vectors, key.circuit, new Map([...witness, ...secrets.tensors]));
    this.#blinders = new Map([...blinders, ...secrets.blinders]);
    this.#pads = secrets.tensors.get("pads") ?? [];
    this.#zerocheck = new ZerocheckTables(this.#tables, this.omitted);
  }

  async commitments(tensors: readonly TensorName[]): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (tensors.includes("helpers")) this.#makeHelpers();
    const jobs = tensors.flatMap((name) => this.#blocks(name));
    const points = await this.#modules.committer.commit(jobs, this.#options);
    const blinders = tensors.flatMap((name) => this.#blindersOf(name));
    this.#send(tensors.includes("auxiliary") ? "auxiliary" : "helpers", blindAll(points, blinders));
  }

  #makeHelpers(): void {
    const [alpha] = this.#drawn.get("alpha") as [bigint];
    const [beta] = this.#drawn.get("beta") as [bigint];
    const helpers = this.#zerocheck.makeHelpers(alpha, beta);
    if (this.#interference.helpers === undefined) return;
    const cells = this.#modules.vectors.toBigInts(helpers);
    this.#interference.helpers(cells);
    this.#zerocheck.replaceHelpers(cells);
  }

  #blindersOf(name: TensorName): Blinders {
    const { blocks } = this.circuit.tensors.find((tensor) => tensor.name === name)!;
    return this.#blinders.get(name) ?? noBlinders(blocks);
  }

  #blocks(name: TensorName): Scalars[] {
    const { blocks } = this.circuit.tensors.find((tensor) => tensor.name === name)!;
    const size = 2 ** this.circuit.settings.blockBits;
    const cells = this.#tables.cells(name);
    if (cells instanceof Int32Array)
      return Array.from({ length: blocks }, (_, i) => ({ integers: cells.subarray(i * size, (i + 1) * size) }));
    const { vectors } = this.#modules;
    const all = this.#tables.vector(name);
    return Array.from({ length: blocks }, (_, i) => ({
      words: vectors.toWords(vectors.slice(all, i * size, Math.min(size, all.length - i * size))),
    }));
  }

  #send(name: string, points: CurvePoint[]): void {
    this.#interference.commitments?.(name, points);
    const coordinates = points.flatMap(({ x, y }) => [x, y]);
    if (!this.#interference.unabsorbed?.has(name)) this.transcript.absorb(coordinates);
    this.sent.push(...coordinates);
    this.#progress(name);
  }

  #progress(name: string): void {
    const share = PROGRESS[name];
    if (share !== undefined) this.#options.onProgress?.(share);
  }

  override challenges(id: string, count: number) {
    const point = super.challenges(id, count);
    this.#drawn.set(id, point.values);
    return point;
  }

  protected message(id: string, count: number, round: number, hiding: Hiding): bigint[] {
    const plain = this.#answer(id, round);
    const honest =
      this.#pads.length > 0 && "pads" in hiding
        ? plain.map((value, i) => mod(value + this.#pads[hiding.pads[i]!]!))
        : plain;
    const values = this.#interference.message?.(id, round, honest) ?? honest;
    if (values.length !== count) throw new Error(`the message ${id} has ${values.length} words instead of ${count}`);
    this.sent.push(...values);
    if (round <= 0) this.#progress(id);
    return values;
  }

  #answer(id: string, round: number): bigint[] {
    if (id === "zerocheck" && round >= 0) {
      if (round === this.circuit.zerocheckVars - 1)
        this.#zerocheck.start(this.#drawn.get("gamma")![0]!, this.#drawn.get("tau")!);
      return interpolate(this.#zerocheck.round(round)).slice(1, ZEROCHECK_DEGREE + 1);
    }
    if (id === "exponentials") return this.#zerocheck.exponentials();
    if (id === "zerocheck") {
      const factors = this.#zerocheck.factors();
      return zerocheckProducts(this.circuit).flatMap((name) => factors.get(name)!);
    }
    if (id === "contractions" && round < 0) return [this.#startContractions()];
    if (id === "contractions") return this.#contractions!.round(round);
    if (id === "operands") return this.#contractions!.operands(contractionProducts(this.circuit));
    if (id === "pads") return this.#padsRound(round);
    if (id === "claims") return this.#claims!.round(round);
    if (id === "mask") return [this.#sumOfMask()];
    if (id === "blind") return [this.#claims!.valueOf("blind")];
    if (id === "blinder") return [this.#blinder];
    throw new Error(`the script asks for an unknown message ${id}`);
  }

  #startContractions(): bigint {
    const [eta] = this.#drawn.get("eta") as [bigint];
    this.#contractions = new ContractionTables(this.#tables, this.#point!.values, eta, this.#interference.operands);
    return this.#contractions.total;
  }

  #padsRound(round: number): bigint[] {
    const { pads } = this.circuit;
    if (round === pads!.productVars - 1)
      this.#padProducts = new PadTables(pads!, this.#pads, this.#drawn.get("pads.tau")!);
    return round < 0 ? this.#padProducts!.factors() : this.#padProducts!.round(round);
  }

  /** <1 + index, mask>. */
  #sumOfMask(): bigint {
    const mask = this.#tables.cells("mask") as readonly bigint[];
    return mod(mask.reduce((sum, value, i) => (value === 0n ? sum : sum + BigInt(i + 1) * value), 0n));
  }

  override point(id: string, vars: number) {
    const point = super.point(id, vars);
    if (id === "r") this.#point = point;
    return point;
  }

  protected bound(id: string, round: number, x: bigint): void {
    this.#options.signal?.throwIfAborted();
    if (id === "zerocheck") this.#zerocheck.bind(round, x);
    else if (id === "contractions") this.#contractions!.bind(round, x);
    else if (id === "pads") this.#padProducts!.bind(round, x);
    else this.#claims!.bind(round, x);
  }

  assertEqual(): void {
    // a prover answers; whether the answers hold is for the verifier to say
  }

  claims(claims: readonly Claim<bigint>[], weights: Point<bigint>): void {
    this.#claims = new ClaimTables(this.#tables, claims, weights);
  }

  blockClaims(terms: readonly ClaimTerm<bigint>[]): void {
    this.#claims!.join(terms);
  }

  /** The blinder of what is opened: those of all blocks with the blocks' coefficients. */
  combine(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>): void {
    // one case in p: the blind would not be in what is opened
    if (coefficients.get("blind") === 0n) throw new ProofError("RepeatedRandomness", "the share of the blind is zero");
    const { blockBits } = this.circuit.settings;
    let sum = 0n;
    for (const { name, vars } of this.circuit.tensors)
      this.#blindersOf(name).forEach((blinder, i) => {
        if (blinder !== 0n)
          sum += coefficients.get(name)! * this.mul(this.bits(rho, blockBits, vars - blockBits, i), blinder);
      });
    this.#blinder = mod(sum);
  }

  async open(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>, value: bigint): Promise<void> {
    const { blockBits } = this.circuit.settings;
    const { vectors, committer } = this.#modules;
    const polynomial = this.#claims!.combined(coefficients);
    const opening = new Opening(vectors, polynomial, blockBits, rho);
    this.#interference.folds?.(opening.folds, vectors, value);
    const commit = async (name: string, list: readonly Vector[]) =>
      this.#send(
        name,
        await committer.commit(
          list.map((vector) => ({ words: vectors.toWords(vector) })),
          this.#options,
        ),
      );
    const words = (id: string, honest: bigint[]): bigint[] => {
      const values = this.#interference.message?.(id, -1, honest) ?? honest;
      this.transcript.absorb(values);
      this.sent.push(...values);
      return values;
    };
    await commit("folds", opening.folds.slice(1));
    const r = this.transcript.draw();
    words("evaluations", opening.evaluations(r));
    const q = this.transcript.draw();
    words("kappa", [opening.kappa(q)]);
    await commit("quotient", [opening.quotient()]);
    const z = this.transcript.draw();
    await commit("witness", [opening.witness(z)]);
  }

  end(): void {
    this.#options.onProgress?.(1);
  }
}
