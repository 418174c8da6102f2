import fc from "fast-check";
import { expect, test } from "vitest";
import { smallProgram } from "../attacks/subject.ts";
import { CompileError } from "../errors.ts";
import { mod, P } from "../field/fr.ts";
import { coordinates, dot, equalities, extension, factorTable, range, termTable } from "../reference/dense.ts";
import type { Claim, ClaimTerm, Factor, Point } from "../script/backend.ts";
import { Coordinates, Core } from "../script/core.ts";
import { makeKey } from "../script/key.ts";
import { runScript } from "../script/script.ts";
import type { Statement } from "../script/statement.ts";
import { GENERATOR_G2 } from "../field/curve.ts";
import { inferenceCircuit, stepCircuit } from "./build.ts";
import type { Circuit, TensorName } from "./circuit.ts";

const size = fc.integer({ min: 1, max: 9 });
const circuits = fc
  .record({
    sizes: fc.tuple(fc.array(size, { minLength: 1, maxLength: 4 }), fc.integer({ min: 2, max: 9 })),
    batch: size,
    blockBits: fc.integer({ min: 3, max: 8 }),
    tableBits: fc.integer({ min: 4, max: 8 }),
    statement: fc.constantFrom("step", "inference"),
    input: fc.constantFrom("public", "committed"),
    output: fc.constantFrom("public", "committed"),
  })
  .map(({ sizes: [before, classes], batch, statement, ...settings }): Circuit | undefined => {
    try {
      const program = smallProgram([...before, classes], batch);
      return statement === "step" ? stepCircuit(program, settings) : inferenceCircuit(program, batch, settings);
    } catch (error) {
      if (error instanceof CompileError) return undefined;
      throw error;
    }
  })
  .filter((circuit) => circuit !== undefined);

/** Cells of a slot that can be other than zero, or that are looked up. */
function usedOf({ batchVars, layers }: Circuit, name: string, vars: number): number {
  const layer = /^weights\.(\d+)$/.exec(name)?.[1];
  if (layer !== undefined) return (layers[Number(layer)]!.biasRow + 1) * 2 ** layers[Number(layer)]!.columnVars;
  return name === "input" ? layers[0]!.inputs * 2 ** batchVars : 2 ** vars;
}

test("slots are aligned, lie in their tensors, and share no used cell", () => {
  fc.assert(
    fc.property(circuits, (circuit) => {
      const owners = new Map<string, string>();
      for (const [name, { tensor, offset, vars }] of circuit.slots) {
        const layout = circuit.tensors.find((own) => own.name === tensor);
        expect(offset % 2 ** vars).toBe(0);
        // public inputs are laid out, but nobody commits to them; the slot of all ranged columns covers them
        if (layout === undefined || name === "ranged") continue;
        expect(offset + 2 ** vars).toBeLessThanOrEqual(2 ** layout.vars);
        const used = usedOf(circuit, name, vars);
        expect(offset + used).toBeLessThanOrEqual(layout.blocks * 2 ** circuit.settings.blockBits);
        for (let i = offset; i < offset + used; i++) {
          expect(owners.get(`${tensor}/${i}`), `cell ${i} of ${tensor}`).toBeUndefined();
          owners.set(`${tensor}/${i}`, name);
        }
      }
      for (const { used, blocks, vars } of circuit.tensors) {
        expect(blocks).toBe(Math.ceil(used / 2 ** circuit.settings.blockBits));
        expect(used).toBeLessThanOrEqual(2 ** vars);
      }
    }),
    { numRuns: 60 },
  );
});

/** Runs the script on messages that mean nothing, and compares the weights' closed forms with their tables. */
class WeightJudge extends Core {
  compared = 0;
  #claims: readonly Claim<bigint>[] = [];
  #weights: Point<bigint> | undefined;
  #late: readonly ClaimTerm<bigint>[] = [];
  #seed: bigint;

  constructor(circuit: Circuit, seed: bigint) {
    const key = makeKey(circuit, { srsHash: "0x01", tau2: GENERATOR_G2, exponentials: [] });
    const count = circuit.batch * Math.max(circuit.program.input.features, circuit.program.loss.classes);
    super(key, {
      chainId: 1,
      verifier: "0x02",
      context: "0x03",
      idIn: "0x04",
      idOut: "0x05",
      idData: "0x06",
      points: new Map(),
      publicInput: new Int8Array(count).fill(3),
      publicOutput: new Int32Array(count).fill(-5),
    } satisfies Statement);
    this.#seed = seed;
  }

  commitments(): void {
    this.transcript.absorb([this.#seed]);
  }

  protected message(_id: string, count: number): bigint[] {
    return range(count).map(() => (this.#seed = mod(this.#seed * this.#seed + 7n)));
  }

  protected bound(): void {
    // nothing is folded
  }

  assertEqual(): void {
    // the messages mean nothing
  }

  claims(claims: readonly Claim<bigint>[], weights: Point<bigint>): void {
    this.#claims = claims;
    this.#weights = weights;
  }

  blockClaims(terms: readonly ClaimTerm<bigint>[]): void {
    this.#late = terms;
  }

  combine(): void {
    // nothing is opened
  }

  open(rho: Point<bigint>, coefficients: ReadonlyMap<TensorName, bigint>): void {
    for (const { name, vars } of this.circuit.tensors) {
      const table = range(2 ** vars).map(() => 0n);
      this.#claims.forEach(({ terms }, j) => {
        for (const term of terms)
          if (term.tensor === name)
            termTable(term).forEach((value, i) => (table[term.offset + i]! += this.#weights!.at(j) * value));
      });
      const missing = range(this.circuit.claimVars - vars).reduce(
        (product, i) => mod(product * (1n - rho.at(vars + i))),
        1n,
      );
      const late = range(2 ** vars).map(() => 0n);
      for (const term of this.#late)
        if (term.tensor === name) termTable(term).forEach((value, i) => (late[term.offset + i]! += value));
      const at = (own: readonly bigint[]) => extension(own, coordinates(rho, 0, vars));
      // the share of the blind is set by the script, not by a claim
      if (name !== "blind") expect(coefficients.get(name), name).toBe(mod(missing * at(table) + at(late)));
      this.compared++;
    }
  }

  end(): void {
    // everything is compared
  }
}

test("the weight of every tensor is the same as a table and in closed form, at random points", async () => {
  await fc.assert(
    fc.asyncProperty(circuits, fc.bigInt({ min: 2n, max: P - 1n }), async (circuit, seed) => {
      const judge = new WeightJudge(circuit, seed);
      await runScript(judge);
      expect(judge.compared).toBe(circuit.tensors.length);
    }),
    { numRuns: 15 },
  );
});

test("every kind of factor is the same as a table and in closed form", () => {
  const element = fc.bigInt({ min: 0n, max: P - 1n });
  const points = fc.integer({ min: 0, max: 6 }).chain((vars) =>
    fc.record({
      a: fc.array(element, { minLength: vars, maxLength: vars }),
      b: fc.array(element, { minLength: vars, maxLength: vars }),
      count: fc.integer({ min: 1, max: 2 ** vars }),
    }),
  );
  const core = new WeightJudge(stepCircuit(smallProgram(), { blockBits: 7, tableBits: 7 }), 5n);
  fc.assert(
    fc.property(points, ({ a, b, count }) => {
      const [point, at] = [new Coordinates("a", a), new Coordinates("b", b)];
      const vars = a.length;
      const whole = { from: 0, vars, point };
      const closed: [Factor<bigint>, bigint][] = [
        [{ kind: "equality", ...whole }, core.equality(point, 0, at, 0, vars)],
        [{ kind: "prefixEquality", ...whole, count }, core.prefixEquality(point, 0, at, 0, vars, count)],
        [{ kind: "prefix", vars, count }, core.prefix(at, 0, vars, count)],
        [{ kind: "ones", vars }, 1n],
        [{ kind: "place", vars }, mod(1n + core.index(at, vars))],
      ];
      for (const [factor, value] of closed) expect(extension(factorTable(factor), b), factor.kind).toBe(value);
      expect(core.bits(at, 0, vars, count - 1)).toBe(equalities(b)[count - 1]);
      expect(core.index(at, vars)).toBe(dot(equalities(b), range(2 ** vars).map(BigInt)));
    }),
  );
});
