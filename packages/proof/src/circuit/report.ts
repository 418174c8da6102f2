import type { Circuit, TensorName } from "./circuit.ts";
import { publicBytes } from "../script/statement.ts";
import { exponentialWords } from "../script/script.ts";
import { contractionProducts, PADS_DEGREE, ZEROCHECK_DEGREE, zerocheckProducts } from "./hidden.ts";

/** What a circuit is made of and what its proofs cost. Times and gas are estimates from measured unit costs. */
export interface CircuitReport {
  readonly statement: Circuit["statement"];
  readonly model: string;
  readonly params: number;
  readonly batch: number;
  readonly blockBits: number;
  readonly tableBits: number;
  /** Every relation by name, grouped by what it is. */
  readonly relations: { readonly kind: string; readonly names: readonly string[] }[];
  readonly tensors: readonly { readonly name: TensorName; readonly cells: number; readonly points: number }[];
  readonly committedCells: number;
  readonly lookups: number;
  /** Enforced width of each digit family: name, digits, bits. */
  readonly widths: readonly { readonly name: string; readonly digits: number; readonly bits: number }[];
  /** Scalars of a proof that are hidden by pads; 0 without zero knowledge. */
  readonly hiddenScalars: number;
  readonly proofBytes: number;
  readonly estimatedProveSeconds: number;
  readonly estimatedGas: number;
}

/**
 * Unit costs, measured by `npm run bench -- proof` and the kernels' tests on one core of a shared x86-64 machine.
 * Milliseconds per 1,000 cells or points; gas per item.
 */
const COST = {
  smallCellMs: 0.8,
  fullCellMs: 10.8,
  sumcheckCellMs: 0.3,
  lookupCellMs: 3,
  fixedMs: 130,
  pointGas: 6_880,
  wordGas: 590,
  roundGas: 420,
  claimGas: 1_700,
  /** Of each cell of the pads, of which the verifier computes a table. */
  padGas: 180,
  fixedGas: 21_000 + 116_000 + 32_000,
};

/** Readable summary of a circuit: see `skynet circuit`. */
export function reportCircuit(circuit: Circuit): CircuitReport {
  const { program, settings, tensors, lookups } = circuit;
  const proofBytes = sizeOfProof(circuit);
  const range = 2 ** circuit.slots.get("ranged")!.vars;
  const pairs = lookups.find(({ kind }) => kind === "pairs");
  return {
    statement: circuit.statement,
    model: [program.input.features, ...program.layers.map(({ outputs }) => outputs)].join("-"),
    params: program.layers.reduce((sum, { inputs, outputs }) => sum + (inputs + 1) * outputs, 0),
    batch: circuit.batch,
    blockBits: settings.blockBits,
    tableBits: settings.tableBits,
    relations: [
      { kind: "products of columns", names: circuit.products.flatMap(({ parts }) => parts.map(({ name }) => name)) },
      { kind: "linear relations", names: circuit.linear.map(({ name }) => name) },
      { kind: "matrix products", names: circuit.contractions.map(({ name }) => name) },
      { kind: "lookups", names: lookups.map(({ kind }) => kind) },
    ],
    tensors: tensors.map(({ name, used, blocks }) => ({ name, cells: used, points: blocks })),
    committedCells: tensors.filter(({ source }) => source === "prover").reduce((sum, { used }) => sum + used, 0),
    lookups: range + (pairs === undefined ? 0 : 2 ** pairs.vars),
    widths: widthsOf(circuit),
    hiddenScalars: circuit.pads === null ? 0 : circuit.pads.count + 2 * circuit.pads.products,
    proofBytes,
    estimatedProveSeconds: estimateSeconds(circuit),
    estimatedGas: estimateGas(circuit, proofBytes),
  };
}

/** Words that only a hiding proof has: two factors of pads, the mask's sum, a value of the blind, a blinder. */
const PAD_WORDS = 5;

const productsOf = (circuit: Circuit): number =>
  zerocheckProducts(circuit).length + contractionProducts(circuit).length;

/** Bytes of every proof of the circuit; all proofs have the same length. */
export function sizeOfProof(circuit: Circuit): number {
  const { tensors, settings, pads } = circuit;
  const points = tensors.filter(({ source }) => source === "prover").reduce((sum, { blocks }) => sum + blocks, 0);
  const words =
    ZEROCHECK_DEGREE * circuit.zerocheckVars +
    exponentialWords(circuit).length +
    1 +
    2 * circuit.contractionVars +
    2 * productsOf(circuit) +
    2 * circuit.claimVars +
    (pads === null ? 0 : PADS_DEGREE * pads.productVars + PAD_WORDS) +
    2 * (settings.blockBits - 1) +
    (2 * settings.blockBits + 1) +
    1 +
    4;
  return publicBytes(circuit) + 64 * points + 32 * words;
}

function widthsOf({ slots, settings }: Circuit): CircuitReport["widths"] {
  const families = new Map<string, number>();
  for (const [name, { tensor }] of slots) {
    const family = /^(.*)\.\d+$/.exec(name)?.[1];
    if (tensor === "ranged" && family !== undefined) families.set(family, (families.get(family) ?? 0) + 1);
  }
  return [...families].map(([name, digits]) => ({ name, digits, bits: digits * settings.tableBits }));
}

function estimateSeconds(circuit: Circuit): number {
  const cells = (filter: (name: TensorName) => boolean) =>
    circuit.tensors.filter(({ name }) => filter(name)).reduce((sum, { used }) => sum + used, 0) / 1000;
  const block = 2 ** circuit.settings.blockBits / 1000;
  const helpers = cells((name) => name === "helpers");
  const blind = circuit.pads === null ? 0 : block;
  const ms =
    COST.fixedMs +
    COST.smallCellMs * cells((name) => ["ranged", "auxiliary", "next"].includes(name)) +
    COST.fullCellMs * (helpers + 3 * block + blind) +
    COST.sumcheckCellMs * cells(() => true) +
    COST.lookupCellMs * helpers;
  return ms / 1000;
}

function estimateGas(circuit: Circuit, proofBytes: number): number {
  const { tensors, settings, pads, zerocheckVars, contractionVars, claimVars } = circuit;
  const points =
    tensors.reduce((sum, { blocks }) => sum + blocks, 0) + settings.blockBits + 2 + (pads === null ? 0 : 1);
  const claims = exponentialWords(circuit).length + circuit.linear.length + 2 * productsOf(circuit) + 4;
  return Math.round(
    COST.fixedGas +
      COST.pointGas * points +
      (COST.wordGas * proofBytes) / 32 +
      COST.roundGas * (2 * zerocheckVars + contractionVars + claimVars) +
      COST.claimGas * claims +
      (pads === null ? 0 : COST.padGas * 2 ** pads.vars),
  );
}
