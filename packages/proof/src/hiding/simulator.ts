// The simulator of zero knowledge: it makes transcripts that the verifier accepts without any witness, where it may choose
// the challenges. Whatever a transcript shows, this shows too. See docs/proof-system.md, "Zero knowledge".
import { concatBytes, word } from "@skynet/protocol";
import type { TensorName } from "../circuit/circuit.ts";
import { add, INFINITY, multiply, negate, type Point as CurvePoint } from "../field/curve.ts";
import { inverse } from "../field/fr.ts";
import { coordinates, extension, range } from "../reference/dense.ts";
import { openPlainly } from "../reference/opening.ts";
import type { Commit } from "../reference/prover.ts";
import type { Point } from "../script/backend.ts";
import { type Coordinates, Core, type CoreOptions, type Oracle } from "../script/core.ts";
import type { ProofKey } from "../script/key.ts";
import { runScript } from "../script/script.ts";
import { encodePublicPart, type Statement } from "../script/statement.ts";
import type { Randomness } from "./randomness.ts";

/** Challenges in the order in which they are drawn, whatever is absorbed. */
export class Challenges implements Oracle {
  readonly #values: readonly bigint[];
  #next = 0;

  constructor(values: readonly bigint[]) {
    this.#values = values;
  }

  absorb(): void {
    // the challenges are chosen before the messages
  }

  draw(): bigint {
    const value = this.peek();
    this.#next++;
    return value;
  }

  peek(): bigint {
    const value = this.#values[this.#next];
    if (value === undefined) throw new Error("not enough challenges");
    return value;
  }
}

export interface SimulatorOptions extends Pick<CoreOptions, "modulus"> {
  readonly challenges: readonly bigint[];
  readonly random: Randomness;
  readonly commit: Commit;
}

/** A transcript: the points and scalars of a proof behind its public part. */
export interface Simulated {
  readonly proof: Uint8Array;
  /** All scalars up to the opening, and the polynomial that was opened. */
  readonly scalars: readonly bigint[];
  readonly opened: readonly bigint[];
}

/** Simulates a proof of a statement, true or false: a verifier that draws these challenges accepts it. */
export async function simulate(key: ProofKey, statement: Statement, options: SimulatorOptions): Promise<Simulated> {
  const simulator = new Simulator(key, statement, options);
  await runScript(simulator);
  const proof = concatBytes(encodePublicPart(key.circuit, statement), ...simulator.sent().map(word));
  return { proof, scalars: simulator.scalars, opened: simulator.opened };
}

class Simulator extends Core {
  readonly scalars: bigint[] = [];
  readonly opened: readonly bigint[];
  readonly #sent: (bigint | "blind")[] = [];
  readonly #random: Randomness;
  readonly #commit: Commit;
  readonly #challenges: Challenges;
  readonly #points = new Map<TensorName, readonly CurvePoint[]>();
  readonly #blinder: bigint;
  #r: Coordinates | undefined;
  #rho: Coordinates | undefined;
  #value = 0n;
  #blind: CurvePoint = INFINITY;

  constructor(key: ProofKey, statement: Statement, { challenges, random, commit, modulus }: SimulatorOptions) {
    const oracle = new Challenges(challenges);
    super(key, statement, { transcript: oracle, ...(modulus === undefined ? {} : { modulus }) });
    this.#challenges = oracle;
    this.#random = random;
    this.#commit = commit;
    for (const [name, points] of statement.points) this.#points.set(name, points);
    this.#points.set("exponentials", key.exponentials);
    this.opened = random.scalars(2 ** key.circuit.settings.blockBits, this.modulus);
    this.#blinder = this.#scalar();
  }

  #scalar(): bigint {
    return this.#random.scalars(1, this.modulus)[0]!;
  }

  /** Uniform points; the blind's follows from the opening. */
  commitments(tensors: readonly TensorName[]): void {
    for (const name of tensors) {
      const { blocks } = this.circuit.tensors.find((tensor) => tensor.name === name)!;
      if (name === "blind") {
        this.#sent.push("blind");
        continue;
      }
      const points = range(blocks).map(() => this.#commit([this.#scalar()]));
      this.#points.set(name, points);
      this.#sent.push(...points.flatMap(({ x, y }) => [x, y]));
    }
  }

  override point(id: string, vars: number): Coordinates {
    const point = super.point(id, vars);
    if (id === "r") this.#r = point;
    if (id === "rho") this.#rho = point;
    return point;
  }

  /** Uniform scalars, but for the values of a public table and the one that makes the opening come out. */
  protected message(id: string, count: number, round: number): bigint[] {
    const values = this.#answer(id, count, round);
    this.#sent.push(...values);
    this.scalars.push(...values);
    return values;
  }

  #answer(id: string, count: number, round: number): bigint[] {
    if (id === "exponentials") return this.#exponentials();
    if (id === "blinder") return [this.#blinder];
    if (id !== "blind" || round >= 0) return range(count).map(() => this.#scalar());
    const low = coordinates(this.#rho!, 0, this.circuit.settings.blockBits);
    const opened = extension(this.opened, low, this.modulus);
    return [this.mod((opened - this.#value) * inverse(this.#challenges.peek(), this.modulus))];
  }

  #exponentials(): bigint[] {
    const { slots, program, lookups } = this.circuit;
    const { vars, lanes } = lookups.find(({ kind }) => kind === "pairTable")!;
    const table = program.loss.exponentials;
    const size = 2 ** vars;
    const at = coordinates(this.#r!, 0, vars);
    const cells = range(2 ** slots.get("exponentials")!.vars).map((i) => BigInt(table[i] ?? 0));
    return range(lanes).map((lane) => extension(cells.slice(lane * size, (lane + 1) * size), at, this.modulus));
  }

  override productSumcheck(...args: Parameters<Core["productSumcheck"]>): bigint {
    this.#value = super.productSumcheck(...args);
    return this.#value;
  }

  protected bound(): void {
    // there are no tables
  }

  assertEqual(): void {
    // whether the equations hold is for the verifier to say
  }

  claims(): void {
    // nothing is claimed about anything that exists
  }

  blockClaims(): void {
    // the same
  }

  /** The blind's commitment is what lacks for the opened polynomial: (Com(u; s) - C*) / share. */
  combine(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>): void {
    const { blockBits } = this.circuit.settings;
    let sum = this.#commit(this.opened, this.#blinder);
    for (const { name, vars } of this.circuit.tensors)
      this.#points.get(name)?.forEach((point, i) => {
        const weight = this.mul(coefficients.get(name)!, this.bits(rho, blockBits, vars - blockBits, i));
        sum = add(sum, negate(multiply(point, weight)));
      });
    this.#blind = multiply(sum, inverse(coefficients.get("blind")!));
  }

  open(rho: Point<bigint>): void {
    openPlainly(this.opened, coordinates(rho, 0, this.circuit.settings.blockBits), this.modulus, {
      commit: (list) => this.#sent.push(...list.map((cells) => this.#commit(cells)).flatMap(({ x, y }) => [x, y])),
      words: (values) => this.#sent.push(...values),
      draw: () => this.transcript.draw(),
    });
  }

  end(): void {
    // everything is sent
  }

  sent(): bigint[] {
    return this.#sent.flatMap((value) => (value === "blind" ? [this.#blind.x, this.#blind.y] : [value]));
  }
}
