import type { Circuit, TensorName } from "../circuit/circuit.ts";
import { P } from "../field/fr.ts";
import type { Blinders } from "./blinders.ts";
import type { Randomness } from "./randomness.ts";

/** All randomness of one proof: the tensors `pads`, `mask` and `blind`, and the blinders of what the prover commits to. */
export interface Secrets {
  /** Names the place in the random stream that they come from: no two proofs may have the same. */
  readonly id: string;
  readonly tensors: ReadonlyMap<TensorName, bigint[]>;
  readonly blinders: ReadonlyMap<TensorName, Blinders>;
}

/** Draws the randomness of one proof; nothing for a circuit that hides nothing. */
export function drawSecrets(circuit: Circuit, random: Randomness, modulus: bigint = P): Secrets {
  const blinders = new Map<TensorName, Blinders>();
  const tensors = new Map<TensorName, bigint[]>();
  const { place: id } = random;
  if (circuit.pads === null) return { id, tensors, blinders };
  for (const { name, source, blocks } of circuit.tensors)
    if (source === "prover") blinders.set(name, random.scalars(blocks, modulus));
  const { blockBits } = circuit.settings;
  tensors.set("pads", drawPads(circuit.pads, random, modulus));
  const mask = Array<bigint>(2 ** blockBits).fill(0n);
  const cells = maskCells(blockBits);
  random.scalars(cells.length, modulus).forEach((value, i) => (mask[cells[i]!] = value));
  tensors.set("mask", mask);
  tensors.set("blind", random.scalars(2 ** blockBits, modulus));
  return { id, tensors, blinders };
}

/** Uniform pads; the products follow from their pairs. Pairs and pads behind the used ones are zero but the spare ones. */
function drawPads(
  { vars, productVars, products, first, count }: NonNullable<Circuit["pads"]>,
  random: Randomness,
  modulus: bigint,
): bigint[] {
  const pads = Array<bigint>(2 ** vars).fill(0n);
  const pairs = 2 ** productVars;
  const spare = 1;
  const [left, right] = [random.scalars(products + spare, modulus), random.scalars(products + spare, modulus)];
  left.forEach((a, k) => {
    pads[k] = a;
    pads[pairs + k] = right[k]!;
    pads[2 * pairs + k] = (a * right[k]!) % modulus;
  });
  random.scalars(count, modulus).forEach((value, k) => (pads[first + k] = value));
  pads[spareCell({ vars })] = random.scalars(1, modulus)[0]!;
  return pads;
}

/** The cell of the pads that hides what the mask alone would show of the last round. */
export const spareCell = ({ vars }: { readonly vars: number }): number => 2 ** vars - 1;

/**
 * Where the sparse mask is not zero: 2^i and 2^i + 2^((i + 1) mod vars). With the spare cell these are as many as the words
 * that they hide, 2 vars + 1: none can be missing.
 */
export function maskCells(vars: number): number[] {
  const single = Array.from({ length: vars }, (_, i) => 2 ** i);
  return [...single, ...single.map((cell, i) => cell + 2 ** ((i + 1) % vars))];
}
