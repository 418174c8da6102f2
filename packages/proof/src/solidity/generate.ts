// One file although it is long: one class that writes the code of every operation of the script's backend.
import { toHex } from "@skynet/protocol";
import type { Circuit, TensorName } from "../circuit/circuit.ts";
import { mod, P } from "../field/fr.ts";
import { contractionProducts, zerocheckProducts } from "../circuit/hidden.ts";
import { BLINDING_POINT } from "../hiding/blinders.ts";
import type { Backend, Point, RoundPads } from "../script/backend.ts";
import type { ProofKey } from "../script/key.ts";
import { CHECKS, DEVELOPMENT_CHAIN } from "../script/rejection.ts";
import { runScript } from "../script/script.ts";
import { inputBytes, outputBytes, publicBytes } from "../script/statement.ts";
import { hex, library, MESSAGE, MODULUS, STATE } from "./library.ts";

/** A Yul expression. `constant` is set where the value is known, `negative` where the code is p - x for this x. */
interface Expression {
  readonly code: string;
  readonly constant?: bigint;
  readonly negative?: Expression;
  /** Nested operations; the EVM reaches 16 stack slots deep. */
  readonly depth?: number;
}

const MAX_DEPTH = 4;

/** Calldata: selector, context, three ids, offset and length of the proof. */
const PROOF_AT = 4 + 32 * 6;
const ID_AT = { context: 4, idIn: 36, idOut: 68, idData: 100 } as const;

/**
 * Source of the verifier contract of one key. The same key gives the same text.
 * @returns Solidity with the contract `ProofVerifier`, and the length of the proofs that it accepts
 */
export async function generateVerifier(
  key: ProofKey,
  options: { omitted?: ReadonlySet<string> } = {},
): Promise<{ source: string; proofBytes: number }> {
  const generator = new Generator(key, options.omitted ?? new Set());
  await runScript(generator);
  return { source: generator.contract(), proofBytes: generator.proofBytes };
}

const number = (check: (typeof CHECKS)[number]): number => CHECKS.indexOf(check) + 1;
const isMemory = (code: string): boolean => /^(mload|calldataload)\(0x[0-9a-f]+\)$/.test(code);

class MemoryPoint implements Point<Expression> {
  readonly id: string;
  readonly base: number;

  constructor(id: string, base: number) {
    this.id = id;
    this.base = base;
  }

  at(i: number): Expression {
    return { code: `mload(${hex(this.base + 32 * i)})` };
  }

  place(i: number): string {
    return hex(this.base + 32 * i);
  }
}

/** Powers start with the constant one. */
class MemoryPowers extends MemoryPoint {
  override at(i: number): Expression {
    return i === 0 ? { code: "1", constant: 1n } : super.at(i);
  }
}

class Generator implements Backend<Expression> {
  readonly circuit: Circuit;
  readonly omitted: ReadonlySet<string>;
  readonly #key: ProofKey;
  readonly #lines: string[] = [];
  readonly #curve: number;
  #memory: number;
  #calldata: number;
  readonly #points = new Map<TensorName, number>();
  #powerCount = 0;

  constructor(key: ProofKey, omitted: ReadonlySet<string>) {
    this.#key = key;
    this.circuit = key.circuit;
    this.omitted = omitted;
    this.#curve = MESSAGE + this.#longestMessage();
    this.#memory = this.#curve + 32 * 12;
    this.#calldata = PROOF_AT + publicBytes(key.circuit);
    let at = PROOF_AT;
    for (const { name, source, blocks } of key.circuit.tensors) {
      if (source !== "statement") continue;
      this.#points.set(name, at);
      at += 64 * blocks;
    }
  }

  /** Bytes that the transcript, or the hash of an id, copies at most. */
  #longestMessage(): number {
    const { tensors, settings } = this.circuit;
    const points = tensors.map(({ blocks }) => 64 * blocks);
    const first = 64 * tensors.filter(({ source }) => source === "prover").reduce((sum, { blocks }) => sum + blocks, 0);
    const opening = 32 * (2 * settings.blockBits + 1);
    const words = 64 * Math.max(zerocheckProducts(this.circuit).length, contractionProducts(this.circuit).length);
    return Math.max(...points, first, opening, words, inputBytes(this.circuit), outputBytes(this.circuit), 192);
  }

  get proofBytes(): number {
    return this.#calldata - PROOF_AT;
  }

  #put(line: string): void {
    this.#lines.push(line);
  }

  #allocate(words: number): number {
    const at = this.#memory;
    this.#memory += 32 * words;
    return at;
  }

  constant(value: bigint): Expression {
    const reduced = mod(value);
    return { code: hex(reduced), constant: reduced };
  }

  add(a: Expression, b: Expression): Expression {
    if (a.constant === 0n) return b;
    if (b.constant === 0n) return a;
    if (a.constant !== undefined && b.constant !== undefined) return this.constant(a.constant + b.constant);
    return this.#nest("addmod", a, b);
  }

  /** Keeps operands that are nested too deeply before it nests them further. */
  #nest(operation: "addmod" | "mulmod", a: Expression, b: Expression): Expression {
    const [x, y] = [a, b].map((value) => ((value.depth ?? 0) >= MAX_DEPTH ? this.keep(value) : value)) as [
      Expression,
      Expression,
    ];
    const depth = 1 + Math.max(x.depth ?? 0, y.depth ?? 0);
    return { code: `${operation}(${x.code}, ${y.code}, ${MODULUS})`, depth };
  }

  sub(a: Expression, b: Expression): Expression {
    if (b.constant !== undefined)
      return a.constant !== undefined || b.constant === 0n
        ? this.#known(a, b.constant)
        : this.add(a, this.constant(-b.constant));
    if (b.negative !== undefined) return this.add(a, b.negative);
    const negative = { code: `sub(${MODULUS}, ${b.code})`, negative: b, depth: b.depth ?? 0 };
    return a.constant === 0n ? negative : this.add(a, negative);
  }

  #known(a: Expression, b: bigint): Expression {
    return a.constant === undefined ? a : this.constant(a.constant - b);
  }

  mul(a: Expression, b: Expression): Expression {
    if (a.constant !== undefined && b.constant !== undefined) return this.constant(a.constant * b.constant);
    if (b.constant !== undefined) return this.mul(b, a);
    if (a.constant === undefined) return this.#nest("mulmod", a, b);
    if (a.constant === 0n) return a;
    if (a.constant === 1n) return b;
    // a small negative constant is shorter as the negation of a positive product
    if (a.constant > P - (1n << 80n)) return this.sub(this.constant(0n), this.mul(this.constant(-a.constant), b));
    return this.#nest("mulmod", a, b);
  }

  keep(value: Expression): Expression {
    if (value.constant !== undefined || isMemory(value.code)) return value;
    const at = hex(this.#allocate(1));
    this.#put(`mstore(${at}, ${this.#reduced(value)})`);
    return { code: `mload(${at})` };
  }

  /** p - x may be p itself. */
  #reduced(value: Expression): string {
    return value.negative === undefined ? value.code : `mod(${value.code}, ${MODULUS})`;
  }

  begin(): void {
    this.#put(`mstore(${hex(STATE)}, ${toHex(this.#key.transcriptKey)})`);
    this.#put(`mstore(${hex(MESSAGE)}, chainid()) mstore(${hex(MESSAGE + 32)}, address())`);
    this.#put(`calldatacopy(${hex(MESSAGE + 64)}, ${ID_AT.context}, 128)`);
    this.#put(`mstore(${hex(STATE)}, keccak256(${hex(STATE)}, ${32 * 7}))`);
  }

  commitments(tensors: readonly TensorName[]): void {
    let count = 0;
    for (const tensor of tensors) {
      this.#points.set(tensor, this.#calldata + 64 * count);
      count += this.circuit.tensors.find(({ name }) => name === tensor)!.blocks;
    }
    this.#absorb(2 * count);
  }

  #absorb(words: number): number {
    const at = this.#calldata;
    this.#put(`absorb(${hex(at)}, ${words})`);
    this.#calldata += 32 * words;
    return at;
  }

  challenges(id: string, count: number): MemoryPoint {
    const point = new MemoryPoint(id, this.#allocate(count));
    if (count === 1) this.#put(`mstore(${point.place(0)}, draw())`);
    else this.#put(`drawMany(${point.place(0)}, ${count})`);
    return point;
  }

  point(id: string, vars: number): MemoryPoint {
    return new MemoryPoint(id, this.#allocate(vars));
  }

  extend(point: Point<Expression>, from: number, count: number): void {
    this.#put(`drawMany(${(point as MemoryPoint).place(from)}, ${count})`);
  }

  words(_id: string, names: readonly string[]): Expression[] {
    if (names.length === 0) return [];
    const at = this.#calldata;
    this.#put(`words(${hex(at)}, ${names.length})`);
    this.#calldata += 32 * names.length;
    return names.map((_, i) => ({ code: `calldataload(${hex(at + 32 * i)})` }));
  }

  zeroSumcheck(
    _id: string,
    degree: number,
    point: Point<Expression>,
    vars: number,
    tau: Point<Expression>,
  ): Expression {
    const places = `${(tau as MemoryPoint).place(0)}, ${(point as MemoryPoint).place(0)}`;
    return this.#sumcheck(`zeroSumcheck${degree}(${vars}, ${places}, ${hex(this.#calldata)})`, degree * vars);
  }

  productSumcheck(_id: string, point: Point<Expression>, top: number, bottom: number, claim: Expression): Expression {
    if (top === bottom) return claim;
    const place = (point as MemoryPoint).place(0);
    return this.#sumcheck(
      `productSumcheck(${top}, ${bottom}, ${this.#reduced(claim)}, ${place}, ${hex(this.#calldata)})`,
      2 * (top - bottom),
    );
  }

  #sumcheck(call: string, words: number): Expression {
    const at = hex(this.#allocate(1));
    this.#put(`mstore(${at}, ${call})`);
    this.#calldata += 32 * words;
    return { code: `mload(${at})` };
  }

  equality(a: Point<Expression>, i: number, b: Point<Expression>, j: number, vars: number): Expression {
    if (vars === 0) return this.constant(1n);
    return { code: `equality(${(a as MemoryPoint).place(i)}, ${(b as MemoryPoint).place(j)}, ${vars})` };
  }

  prefixEquality(
    a: Point<Expression>,
    i: number,
    b: Point<Expression>,
    j: number,
    vars: number,
    count: number,
  ): Expression {
    if (count >= 2 ** vars) return this.equality(a, i, b, j, vars);
    return {
      code: `prefixEquality(${(a as MemoryPoint).place(i)}, ${(b as MemoryPoint).place(j)}, ${vars}, ${count})`,
    };
  }

  prefix(a: Point<Expression>, i: number, vars: number, count: number): Expression {
    if (count >= 2 ** vars) return this.constant(1n);
    return { code: `prefix(${(a as MemoryPoint).place(i)}, ${vars}, ${count})` };
  }

  bits(a: Point<Expression>, i: number, vars: number, value: number): Expression {
    if (vars === 0) return this.constant(1n);
    return { code: `bits(${(a as MemoryPoint).place(i)}, ${vars}, ${value})` };
  }

  index(a: Point<Expression>, vars: number): Expression {
    return { code: `index(${(a as MemoryPoint).place(0)}, ${vars})` };
  }

  equalityTable(a: Point<Expression>, vars: number): MemoryPoint {
    const table = new MemoryPoint("table", this.#allocate(2 ** vars));
    this.#put(`equalityTable(${table.place(0)}, ${(a as MemoryPoint).place(0)}, ${vars})`);
    return table;
  }

  roundPads(
    { kind, from, degree, top, bottom, point, tau }: RoundPads<Expression>,
    table: Point<Expression>,
  ): Expression {
    const places = `${(point as MemoryPoint).place(0)}, ${(table as MemoryPoint).place(from)}`;
    if (kind === "productRounds") return { code: `productRounds(${top}, ${bottom}, ${places})` };
    return { code: `zeroRounds${degree}(${top}, ${(tau as MemoryPoint).place(0)}, ${places})` };
  }

  powers(base: Expression, count: number): MemoryPoint {
    const point = new MemoryPowers(`powers/${this.#powerCount++}`, this.#allocate(count));
    this.#put(`powers(${point.place(0)}, ${base.code}, ${count})`);
    return point;
  }

  publicTensor(
    name: "input" | "output",
    a: Point<Expression>,
    batchFrom: number,
    b: Point<Expression>,
    unitFrom: number,
  ): Expression {
    const { batch, batchVars, layers } = this.circuit;
    const input = name === "input";
    const units = input ? layers[0]!.inputs : layers.at(-1)!.outputs;
    const unitVars = input ? layers[0]!.rowVars : layers.at(-1)!.columnVars;
    const start =
      PROOF_AT + publicBytes(this.circuit) - outputBytes(this.circuit) - (input ? inputBytes(this.circuit) : 0);
    const table = this.#allocate(2 ** unitVars);
    const samples = `${(a as MemoryPoint).place(batchFrom)}, ${batchVars}`;
    this.#put(`equalityTable(${hex(table)}, ${(b as MemoryPoint).place(unitFrom)}, ${unitVars})`);
    const call = `publicTensor(${hex(start)}, ${input ? 1 : 32}, ${batch}, ${units}, ${samples}, ${hex(table)})`;
    return this.keep({ code: call });
  }

  assertEqual(a: Expression, b: Expression, name: string): void {
    if (this.omitted.has(name)) return;
    this.#put(`if iszero(eq(${this.#reduced(a)}, ${this.#reduced(b)})) { fail(${number(name as never)}) }`);
  }

  claims(): void {
    // only a prover needs the dense weights
  }

  blockClaims(): void {
    // only a prover needs the dense weights
  }

  combine(): void {
    // only a prover knows blinders
  }

  open(
    rho: Point<Expression>,
    coefficients: ReadonlyMap<TensorName, Expression>,
    value: Expression,
    blinder: Expression | null,
  ): void {
    const { blockBits } = this.circuit.settings;
    const folds = this.#absorb(2 * (blockBits - 1));
    const r = this.challenges("fold", 1).at(0);
    const evaluations = this.#calldata;
    this.words("evaluations", Array<string>(2 * blockBits + 1).fill(""));
    const powers = this.powers(this.challenges("batch", 1).at(0), blockBits);
    const kappa = this.words("kappa", ["kappa"])[0]!;
    const quotient = this.#absorb(2);
    const z = this.challenges("open", 1).at(0);
    const witness = this.#absorb(2);
    const out = new MemoryPoint("folded", this.#allocate(4));
    const low = (rho as MemoryPoint).place(0);
    this.#put(`foldEvaluations(${hex(evaluations)}, ${blockBits}, ${low}, ${powers.place(0)}, ${out.place(0)})`);
    const [even, odd, atSquare, last] = [0, 1, 2, 3].map((i) => out.at(i)) as [
      Expression,
      Expression,
      Expression,
      Expression,
    ];
    this.assertEqual(last, value, "opening fold");
    const r2 = this.keep(this.mul(r, r));
    const interpolation = (x: Expression, square: Expression) =>
      this.add(this.add(even, this.mul(odd, x)), this.mul(kappa, this.sub(square, r2)));
    this.assertEqual(interpolation(r2, this.keep(this.mul(r2, r2))), atSquare, "opening interpolation");
    this.#combine(rho as MemoryPoint, coefficients);
    this.#put(`addFolds(${hex(folds)}, ${blockBits - 1}, ${powers.place(0)})`);
    const z2 = this.keep(this.mul(z, z));
    const value2 = this.keep(interpolation(z, z2));
    this.#put(`addConstant(1, 2, sub(${MODULUS}, ${value2.code}))`);
    const vanishing = this.keep(this.mul(this.sub(z2, r2), this.sub(z, r2)));
    this.#put(`addPoint(${hex(quotient)}, sub(${MODULUS}, ${vanishing.code}))`);
    this.#put(`addPoint(${hex(witness)}, ${z.code})`);
    if (blinder !== null) {
      const { x, y } = BLINDING_POINT;
      this.#put(`addConstant(${hex(x)}, ${hex(y)}, sub(${MODULUS}, ${blinder.code}))`);
    }
    if (!this.omitted.has("pairing")) this.#put(`pairing(${hex(witness)})`);
  }

  #combine(rho: MemoryPoint, coefficients: ReadonlyMap<TensorName, Expression>): void {
    const { blockBits } = this.circuit.settings;
    for (const { name, source, vars, blocks } of this.circuit.tensors) {
      const weight = coefficients.get(name)!;
      const above = vars - blockBits;
      if (source === "key") {
        this.#key.exponentials.forEach(({ x, y }, i) => {
          const block = this.mul(weight, this.bits(rho, blockBits, above, i));
          this.#put(`addConstant(${hex(x)}, ${hex(y)}, ${block.code})`);
        });
      } else if (blocks === 1 && above === 0) this.#put(`addPoint(${hex(this.#points.get(name)!)}, ${weight.code})`);
      else {
        const point = hex(this.#points.get(name)!);
        this.#put(`addBlocks(${point}, ${blocks}, ${weight.code}, ${rho.place(blockBits)}, ${above})`);
      }
    }
  }

  end(): void {
    this.#put("mstore(0, 1) return(0, 32)");
  }

  /** The whole contract. */
  contract(): string {
    const { statement, settings } = this.circuit;
    const inference = statement === "inference";
    const functions = library({
      curve: this.#curve,
      checks: {
        length: number("length"),
        scalar: number("scalar range"),
        precompile: number("precompile"),
        pairing: number("pairing"),
      },
      tau2: this.#key.tau2,
      omitted: this.omitted,
      publicInput: inference && settings.input === "public",
      publicOutput: inference && settings.output === "public",
      hiding: settings.hiding,
    });
    return `// SPDX-License-Identifier: MIT
// Generated for the circuit ${this.#key.circuitHash} and the reference string ${this.#key.srsHash}.
pragma solidity 0.8.37;

contract ProofVerifier {
  error Rejected(uint256 check);

  /// Returns true or reverts with the number of the check that failed.
  function verify(bytes32, bytes32, bytes32, bytes32, bytes calldata) external view returns (bool) {
    assembly {
    ${functions}
    mstore(0x40, ${hex(P)})
    ${[...this.#chainCheck(), ...this.#layoutChecks(), ...this.#idChecks(), ...this.#lines].join("\n    ")}
    }
  }
}
`;
  }

  /** Proofs that hide nothing are for development chains. */
  #chainCheck(): string[] {
    if (this.circuit.settings.hiding || this.omitted.has("chain")) return [];
    return [`if iszero(eq(chainid(), ${DEVELOPMENT_CHAIN})) { fail(${number("chain")}) }`];
  }

  /** Exact length, no other encoding of the same proof. */
  #layoutChecks(): string[] {
    if (this.omitted.has("length")) return [];
    const { proofBytes } = this;
    const same = (a: string, b: number) => `eq(${a}, ${hex(b)})`;
    const all = `and(${same("calldatasize()", PROOF_AT + proofBytes)}, and(${same("calldataload(132)", 160)}, ${same("calldataload(164)", proofBytes)}))`;
    return [`if iszero(${all}) { fail(${number("length")}) }`];
  }

  /** The public part has the ids of the statement. */
  #idChecks(): string[] {
    const { circuit } = this;
    const lines: string[] = [];
    const check = (tag: Uint8Array, at: number, bytes: number, id: number, name: (typeof CHECKS)[number]) => {
      if (this.omitted.has(name)) return;
      lines.push(
        `mstore(${hex(STATE)}, ${toHex(tag)}) calldatacopy(${hex(MESSAGE)}, ${hex(at)}, ${bytes})`,
        `if iszero(eq(keccak256(${hex(STATE)}, ${32 + bytes}), calldataload(${id}))) { fail(${number(name)}) }`,
      );
    };
    const points = (name: TensorName, tag: Uint8Array, id: number, label: (typeof CHECKS)[number]) => {
      const { blocks } = circuit.tensors.find((tensor) => tensor.name === name)!;
      check(tag, this.#points.get(name)!, 64 * blocks, id, label);
    };
    const { weightsTag, dataTag, outputTag } = this.#key;
    points("weights", weightsTag, ID_AT.idIn, "weights id");
    if (circuit.statement === "step") {
      points("next", weightsTag, ID_AT.idOut, "next id");
      points("batch", dataTag, ID_AT.idData, "batch id");
      return lines;
    }
    const output = PROOF_AT + publicBytes(circuit) - outputBytes(circuit);
    if (circuit.settings.input === "public") {
      const count = circuit.batch * circuit.layers[0]!.inputs;
      const end = output - inputBytes(circuit) + count;
      check(dataTag, output - inputBytes(circuit), count, ID_AT.idData, "batch id");
      if (count % 32 !== 0 && !this.omitted.has("input padding"))
        lines.push(
          `if shl(${8 * (count % 32)}, calldataload(${hex(end - (count % 32))})) { fail(${number("input padding")}) }`,
        );
    } else points("batch", dataTag, ID_AT.idData, "batch id");
    if (circuit.settings.output === "public") {
      lines.push(`inField(${hex(output)}, ${outputBytes(circuit) / 32})`);
      check(outputTag, output, outputBytes(circuit), ID_AT.idOut, "output id");
    } else points("output", outputTag, ID_AT.idOut, "output id");
    return lines;
  }
}
