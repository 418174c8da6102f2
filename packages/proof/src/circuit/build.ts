// One file although it is long: all relations of both statements, in the order in which a step computes them.
import { CompileError } from "../errors.ts";
import type { IntegerProgram, Requantisation } from "../program.ts";
import { checkBounds } from "./bounds.ts";
import type {
  Cells,
  Circuit,
  CircuitSettings,
  Contraction,
  Division,
  Form,
  FormTerm,
  LayerCircuit,
  LinearRelation,
  Lookup,
  PadLayout,
  ProductGroup,
  Slot,
  TensorLayout,
} from "./circuit.ts";
import { planPads } from "./hidden.ts";
import { log2Up, placeSlots, type Request, tensorLayout } from "./layout.ts";

/** Names of slots: columns of hidden layer i are `h{i}.*`, those of the classes `o.*`. */
const digit = (name: string, j: number): string => `${name}.${j}`;
const digits = (name: string, count: number): string[] => Array.from({ length: count }, (_, j) => digit(name, j));

/**
 * The circuit of one training step, W' = Step(W; batch).
 * @throws CompileError `WidthsDoNotFit` when a relation could leave the field's exact integers
 */
export function stepCircuit(program: IntegerProgram, settings: Partial<CircuitSettings> = {}): Circuit {
  return new Builder("step", program, program.batchSize, settings).build();
}

/**
 * The circuit of an inference, Z = Model(W; X) for `batch` samples: the integer logits.
 * @throws CompileError `WidthsDoNotFit`
 */
export function inferenceCircuit(
  program: IntegerProgram,
  batch: number,
  settings: Partial<CircuitSettings> = {},
): Circuit {
  if (!Number.isInteger(batch) || batch < 1 || batch > 4096)
    throw new CompileError("BadSetting", `${batch} is not a number of samples from 1 to 4096`);
  return new Builder("inference", program, batch, settings).build();
}

/** One table of 2^13 serves the recommended scales: remainders of 26 and 22 bits take two digits, the rest one. */
const TABLE_BITS = 13;
const BLOCK_BITS = 14;
const MAX_BLOCK_BITS = 16;
/** Above this many points of the weights blocks become longer: gas for points against time for the opening. */
const MANY_POINTS = 16;

class Builder {
  readonly #statement: Circuit["statement"];
  readonly #program: IntegerProgram;
  readonly #batch: number;
  readonly #batchVars: number;
  readonly #tableBits: number;
  readonly #layers: LayerCircuit[];
  readonly #given: Partial<CircuitSettings>;
  readonly #classes: Cells;
  readonly #slots = new Map<string, Slot>();
  readonly #tensors: TensorLayout[] = [];

  constructor(
    statement: Circuit["statement"],
    program: IntegerProgram,
    batch: number,
    settings: Partial<CircuitSettings>,
  ) {
    this.#statement = statement;
    this.#program = program;
    this.#batch = batch;
    this.#batchVars = log2Up(batch);
    this.#given = settings;
    this.#tableBits = settings.tableBits ?? TABLE_BITS;
    const { blockBits = BLOCK_BITS } = settings;
    if (!Number.isInteger(blockBits) || blockBits < 2 || blockBits > MAX_BLOCK_BITS)
      throw new CompileError("BadSetting", `blocks of 2^${blockBits} cells are not of 2^2 to 2^${MAX_BLOCK_BITS}`);
    if (!Number.isInteger(this.#tableBits) || this.#tableBits < 3 || this.#tableBits > 16)
      throw new CompileError("BadSetting", `the range table of ${this.#tableBits} bits is not of 3 to 16 bits`);
    this.#layers = program.layers.map(({ inputs, outputs, forward, backward }, i) => {
      const biasRow = i === 0 ? inputs : 2 ** log2Up(inputs);
      return {
        inputs,
        outputs,
        biasRow,
        rowVars: log2Up(biasRow + 1),
        columnVars: log2Up(outputs),
        forward: this.#division(forward, i === program.layers.length - 1 ? 1 : 0),
        backward: backward === null || statement === "inference" ? null : this.#division(backward, 1),
      };
    });
    this.#classes = this.#cells(this.#layers.length - 1);
  }

  /** The only place where a division becomes relations: remainder and quotient are ranged together. */
  #division({ shift, bits }: Requantisation, sign: number): Division {
    const count = Math.ceil(shift / this.#tableBits);
    return {
      shift,
      digits: count,
      scale: 1n << BigInt(count * this.#tableBits - shift),
      quotientDigits: Math.ceil((bits + sign) / this.#tableBits),
    };
  }

  /**
   * Pads lie in one block. Where a small model has shorter blocks, they become longer.
   * @throws CompileError `BadSetting` when the settings ask for shorter ones
   */
  build(): Circuit {
    const { weights } = this.#requests();
    const wanted = this.#given.blockBits ?? this.#chooseBlockBits(weights);
    const circuit = this.#buildWith(wanted);
    const needed = circuit.pads?.vars ?? 0;
    if (needed <= wanted) return circuit;
    if (this.#given.blockBits !== undefined)
      throw new CompileError("BadSetting", `blocks of 2^${wanted} cells are too short to hide a proof`, {
        hint: `Take blocks of at least 2^${needed} cells.`,
      });
    return this.#buildWith(needed);
  }

  #buildWith(blockBits: number): Circuit {
    this.#slots.clear();
    this.#tensors.length = 0;
    const { weights, batch, ranged, auxiliary } = this.#requests();
    const settings: CircuitSettings = {
      blockBits,
      tableBits: this.#tableBits,
      input: this.#given.input ?? "committed",
      output: this.#given.output ?? "public",
      hiding: this.#given.hiding ?? true,
    };
    const step = this.#statement === "step";
    this.#place("weights", "statement", weights, blockBits);
    if (step) this.#tensors.push({ ...this.#tensors[0]!, name: "next" });
    if (step || settings.input === "committed") this.#place("batch", "statement", batch, blockBits);
    // public inputs are laid out in the same way, but nobody commits to them
    else this.#slots.set("input", placeSlots("batch", batch).slots[0]![1]);
    if (!step && settings.output === "committed")
      this.#place("output", "statement", [{ name: "output", vars: this.#cellVars(this.#classes) }], blockBits);
    if (step) this.#place("exponentials", "key", [{ name: "exponentials", vars: this.#pairBits() }], blockBits);
    this.#place("ranged", "prover", ranged, blockBits);
    const rangedVars = Math.max(2, log2Up(this.#tensors.at(-1)!.used));
    this.#slots.set("ranged", { tensor: "ranged", offset: 0, vars: rangedVars });
    this.#place("auxiliary", "prover", auxiliary, blockBits);
    const lookups = this.#lookups(rangedVars);
    this.#place(
      "helpers",
      "prover",
      lookups.map(({ helper, vars }) => ({ name: helper, vars })),
      blockBits,
    );
    const contractions = this.#contractions();
    const cellVars = Math.max(...this.#layers.map((_, i) => this.#cellVars(this.#cells(i))));
    const zerocheckVars = Math.max(cellVars, ...lookups.map(({ vars }) => vars));
    const claimVars = Math.max(...this.#tensors.map(({ vars }) => vars));
    const committed = this.#tensors.filter(({ name }) => name === "output" || name === "batch").map(({ vars }) => vars);
    const shape = { statement: this.#statement, settings, lookups, products: this.#products(), contractions };
    const contractionVars = Math.max(...contractions.map(({ vars }) => vars));
    const sumchecks = { zerocheckVars, contractionVars, blockVars: claimVars - blockBits };
    const pads = settings.hiding ? planPads(shape, sumchecks) : null;
    if (pads !== null) this.#placeRandomness(pads, blockBits);
    const circuit: Circuit = {
      ...shape,
      program: this.#program,
      batch: this.#batch,
      batchVars: this.#batchVars,
      layers: this.#layers,
      tensors: this.#tensors,
      slots: this.#slots,
      linear: step ? this.#linear() : this.#inputLinear(),
      gradients: step ? this.#layers.map((_, i) => this.#gradient(i)) : [],
      output: step ? null : this.#signed("o.logit", this.#layers.at(-1)!.forward.quotientDigits),
      zerocheckVars,
      pads,
      contractionVars,
      claimVars,
      pointVars: Math.max(zerocheckVars, step ? this.#batchVars + this.#tensors[0]!.vars : Math.max(0, ...committed)),
    };
    checkBounds(circuit);
    return circuit;
  }

  #place(name: TensorLayout["name"], source: TensorLayout["source"], requests: readonly Request[], bits: number): void {
    const { slots, used } = placeSlots(name, requests);
    for (const [key, slot] of slots) this.#slots.set(key, slot);
    this.#tensors.push(
      tensorLayout(
        name,
        source,
        used,
        slots.map(([, slot]) => slot),
        bits,
      ),
    );
  }

  #placeRandomness({ vars, productVars }: PadLayout, blockBits: number): void {
    ["left", "right", "product"].forEach((part, i) =>
      this.#slots.set(`pads.${part}`, { tensor: "pads", offset: i * 2 ** productVars, vars: productVars }),
    );
    for (const [name, used] of [
      ["pads", 2 ** vars],
      ["mask", 2 ** blockBits],
      ["blind", 2 ** blockBits],
    ] as const)
      this.#tensors.push({ name, source: "prover", used, vars: blockBits, blocks: 1 });
  }

  #chooseBlockBits(weights: readonly Request[]): number {
    const { used } = placeSlots("weights", weights);
    const small = Math.max(log2Up(used), this.#tableBits);
    for (let bits = Math.min(small, BLOCK_BITS); ; bits++)
      if (bits >= MAX_BLOCK_BITS || bits >= small || Math.ceil(used / 2 ** bits) <= MANY_POINTS) return bits;
  }

  #cells(layer: number): Cells {
    const { outputs, columnVars } = this.#layers[layer]!;
    return { layer, unitVars: columnVars, units: outputs };
  }

  /** Inputs are ranged where nobody else has checked them: behind the commitment of an inference. */
  #rangesInput(): boolean {
    return this.#statement === "inference" && (this.#given.input ?? "committed") === "committed";
  }

  /** The inputs as cells: one row of units behind the real ones is the bias. */
  #inputCells(): Cells {
    const { inputs, rowVars } = this.#layers[0]!;
    return { layer: -1, unitVars: rowVars, units: inputs };
  }

  #inputDigits(): number {
    return Math.ceil((this.#program.widths.input + 1) / this.#tableBits);
  }

  /**
   * x + 2^w in [0, 2^(w + 1)): the number and its multiple by 2^(digits T - w - 1) both have so many digits. The second
   * alone would admit fractions.
   */
  #inputLinear(): LinearRelation[] {
    if (!this.#rangesInput()) return [];
    const count = this.#inputDigits();
    const width = this.#program.widths.input;
    const cells = this.#inputCells();
    const relation = (name: string, slot: string, factor: bigint): LinearRelation => ({
      name,
      cells,
      form: form([...this.#number(slot, count), cell("input", -factor)], -factor * (1n << BigInt(width))),
    });
    return [
      relation("x.value = input", "x.value", 1n),
      relation("x.scaled = input", "x.scaled", 1n << BigInt(count * this.#tableBits - width - 1)),
    ];
  }

  #cellVars({ unitVars }: Cells): number {
    return this.#batchVars + unitVars;
  }

  /** Differences of logits have one bit more than logits. */
  #pairBits(): number {
    return Math.max(1, this.#program.widths.logit + 1);
  }

  /** Digits of 2 S, where S is the sum of the exponentials. */
  #sumDigits(): number {
    const { classes, exponentialScale } = this.#program.loss;
    return Math.ceil((log2Up(classes) + exponentialScale + 1) / this.#tableBits);
  }

  #probabilityDigits(): number {
    return Math.ceil((this.#program.loss.probabilityScale + 1) / this.#tableBits);
  }

  #requests(): { weights: Request[]; batch: Request[]; ranged: Request[]; auxiliary: Request[] } {
    const step = this.#statement === "step";
    const weights = this.#layers.map(({ biasRow, rowVars, columnVars }, i) => ({
      name: `weights.${i}`,
      vars: rowVars + columnVars,
      used: (biasRow + 1) * 2 ** columnVars,
    }));
    const { inputs } = this.#layers[0]!;
    const batch: Request[] = [
      {
        name: "input",
        vars: this.#batchVars + this.#layers[0]!.rowVars,
        used: inputs * 2 ** this.#batchVars,
      },
    ];
    if (step) batch.push({ name: "label", vars: this.#cellVars(this.#classes) });
    const ranged: Request[] = [];
    const auxiliary: Request[] = [{ name: "table", vars: this.#tableBits }];
    const columns = (target: Request[], cells: Cells, names: readonly string[]) => {
      for (const name of names) target.push({ name, vars: this.#cellVars(cells) });
    };
    this.#layers.slice(0, -1).forEach(({ forward }, i) => {
      columns(ranged, this.#cells(i), digits(`h${i}.remainder`, forward.digits));
      columns(ranged, this.#cells(i), digits(`h${i}.magnitude`, forward.quotientDigits));
      columns(auxiliary, this.#cells(i), [`h${i}.sign`, `h${i}.activation`]);
      const backward = this.#layers[i + 1]!.backward;
      if (backward === null) return;
      columns(ranged, this.#cells(i), digits(`h${i}.gradientRemainder`, backward.digits));
      columns(ranged, this.#cells(i), digits(`h${i}.gradientQuotient`, backward.quotientDigits));
      columns(auxiliary, this.#cells(i), [`h${i}.gradient`]);
    });
    const { forward } = this.#layers.at(-1)!;
    columns(ranged, this.#classes, digits("o.remainder", forward.digits));
    columns(ranged, this.#classes, digits("o.logit", forward.quotientDigits));
    if (this.#rangesInput()) {
      columns(ranged, this.#inputCells(), digits("x.value", this.#inputDigits()));
      columns(ranged, this.#inputCells(), digits("x.scaled", this.#inputDigits()));
    }
    if (step) {
      columns(ranged, this.#classes, digits("o.probability", this.#probabilityDigits()));
      columns(ranged, this.#classes, digits("o.rest", this.#sumDigits()));
      columns(ranged, this.#classes, digits("o.restComplement", this.#sumDigits()));
      columns(auxiliary, this.#classes, ["o.top", "o.exponential"]);
      auxiliary.push({ name: "o.maximum", vars: this.#batchVars }, { name: "pairTable", vars: this.#pairBits() });
    }
    return { weights, batch, ranged, auxiliary };
  }

  #lookups(rangedVars: number): Lookup[] {
    const lookups: Lookup[] = [
      { kind: "range", vars: rangedVars - 2, lanes: 4, helper: "helper.range", slot: "ranged" },
      { kind: "rangeTable", vars: this.#tableBits - 2, lanes: 4, helper: "helper.rangeTable", slot: "table" },
    ];
    if (this.#statement === "step")
      lookups.push(
        { kind: "pairs", vars: this.#cellVars(this.#classes), lanes: 1, helper: "helper.pairs", slot: "" },
        { kind: "pairTable", vars: this.#pairBits() - 1, lanes: 2, helper: "helper.pairTable", slot: "pairTable" },
      );
    return lookups;
  }

  #products(): ProductGroup[] {
    const groups: ProductGroup[] = [];
    this.#layers.slice(0, -1).forEach(({ forward }, i) => {
      const cells = this.#cells(i);
      const sign = cell(`h${i}.sign`);
      const parts = [
        { name: `h${i}.sign is boolean`, right: form([sign]), rest: form([negate(sign)]) },
        {
          name: `h${i}.activation = sign magnitude`,
          right: form(this.#number(`h${i}.magnitude`, forward.quotientDigits)),
          rest: form([cell(`h${i}.activation`, -1n)]),
        },
      ];
      const backward = this.#layers[i + 1]!.backward;
      if (backward !== null)
        parts.push({
          name: `h${i}.gradient = sign quotient`,
          right: this.#signed(`h${i}.gradientQuotient`, backward.quotientDigits),
          rest: form([cell(`h${i}.gradient`, -1n)]),
        });
      groups.push({ name: `h${i}`, cells, factor: form([sign]), parts });
    });
    if (this.#statement === "step") groups.push(...this.#classProducts());
    return groups;
  }

  #classProducts(): ProductGroup[] {
    const cells = this.#classes;
    const top = cell("o.top");
    const label = cell("label");
    const { probabilityScale } = this.#program.loss;
    return [
      {
        name: "top",
        cells,
        factor: form([top]),
        parts: [
          { name: "o.top is boolean", right: form([top]), rest: form([negate(top)]) },
          { name: "o.maximum is reached", right: this.#distance(), rest: form([]) },
        ],
      },
      {
        name: "label",
        cells,
        factor: form([label]),
        parts: [{ name: "label is boolean", right: form([label]), rest: form([negate(label)]) }],
      },
      {
        name: "softmax",
        cells,
        factor: form([{ kind: "rowSum", slot: "o.exponential", coefficient: 1n }]),
        parts: [
          {
            name: "softmax division",
            right: form(scaled(this.#number("o.probability", this.#probabilityDigits()), 2n), -1n),
            rest: form([
              ...this.#number("o.rest", this.#sumDigits()),
              { kind: "masked", slot: "o.exponential", coefficient: -(1n << BigInt(probabilityScale + 1)) },
            ]),
          },
        ],
      },
    ];
  }

  #linear(): LinearRelation[] {
    const cells = this.#classes;
    const sum = (slot: string, coefficient = 1n): FormTerm => ({ kind: "rowSum", slot, coefficient });
    return [
      { name: "one o.top per sample", cells, form: form([sum("o.top")], 0n, -1n) },
      { name: "one label per sample", cells, form: form([sum("label")], 0n, -1n) },
      {
        name: "no label in padding",
        cells,
        form: form([{ kind: "paddedSum", slot: "label", coefficient: 1n }], 0n, -1n),
      },
      {
        name: "o.rest < 2 sum",
        cells,
        form: form(
          [
            sum("o.exponential", 2n),
            ...scaled(this.#number("o.rest", this.#sumDigits()), -1n),
            ...scaled(this.#number("o.restComplement", this.#sumDigits()), -1n),
          ],
          -1n,
        ),
      },
    ];
  }

  #contractions(): Contraction[] {
    const last = this.#layers.length - 1;
    const list: Contraction[] = this.#layers.map(({ rowVars, forward }, layer) => ({
      name: `forward.${layer}`,
      kind: "forward",
      layer,
      vars: rowVars,
      coefficient: forward.scale,
      cells: this.#cells(layer),
      form: this.#divided(
        forward,
        layer === last ? this.#signed("o.logit", forward.quotientDigits) : this.#activationInput(layer),
        layer === last ? "o.remainder" : `h${layer}.remainder`,
      ),
    }));
    if (this.#statement === "inference") return list;
    this.#layers.forEach(({ columnVars, backward }, layer) => {
      if (backward === null) return;
      const below = `h${layer - 1}`;
      list.push({
        name: `backward.${layer}`,
        kind: "backward",
        layer,
        vars: columnVars,
        coefficient: backward.scale,
        cells: this.#cells(layer - 1),
        form: this.#divided(
          backward,
          this.#signed(`${below}.gradientQuotient`, backward.quotientDigits),
          `${below}.gradientRemainder`,
        ),
      });
    });
    this.#layers.forEach((_, layer) =>
      list.push({
        name: `update.${layer}`,
        kind: "update",
        layer,
        vars: this.#batchVars,
        coefficient: BigInt(this.#program.learningRateInteger),
        cells: null,
        form: null,
      }),
    );
    return list;
  }

  #gradient(layer: number): Form {
    if (layer < this.#layers.length - 1) return form([cell(`h${layer}.gradient`)]);
    const { probabilityScale } = this.#program.loss;
    return form([
      ...this.#number("o.probability", this.#probabilityDigits()),
      cell("label", -(1n << BigInt(probabilityScale))),
    ]);
  }

  /** 2^(digits T) Q + R - scale 2^(shift - 1). */
  #divided({ shift, digits: count, scale }: Division, quotient: Form, remainder: string): Form {
    const power = 1n << BigInt(count * this.#tableBits);
    return form(
      [...scaled(quotient.terms, power), ...this.#number(remainder, count)],
      quotient.everywhere * power - scale * (1n << BigInt(shift - 1)),
    );
  }

  /** Q = sign magnitude - (1 - sign)(magnitude + 1) = 2 activation - magnitude + sign - 1: unique for every integer. */
  #activationInput(layer: number): Form {
    return form(
      [
        cell(`h${layer}.activation`, 2n),
        ...scaled(this.#number(`h${layer}.magnitude`, this.#layers[layer]!.forward.quotientDigits), -1n),
        cell(`h${layer}.sign`),
      ],
      -1n,
    );
  }

  /** u = max(z) - z over the real classes, 0 in padding. */
  #distance(): Form {
    const z = this.#signed("o.logit", this.#layers.at(-1)!.forward.quotientDigits);
    const maximum: FormTerm = { kind: "row", slot: "o.maximum", coefficient: 1n };
    return form([maximum, ...scaled(z.terms, -1n)], -z.everywhere);
  }

  /** A number of whole digits, least significant first. */
  #number(name: string, count: number): FormTerm[] {
    return digits(name, count).map((slot, j) => cell(slot, 1n << BigInt(j * this.#tableBits)));
  }

  /** A number of whole digits minus half its range. */
  #signed(name: string, count: number): Form {
    return form(this.#number(name, count), -(1n << BigInt(count * this.#tableBits - 1)));
  }
}

const cell = (slot: string, coefficient = 1n): FormTerm => ({ kind: "cell", slot, coefficient });
const negate = (term: FormTerm): FormTerm => ({ ...term, coefficient: -term.coefficient });
const scaled = (terms: readonly FormTerm[], by: bigint): FormTerm[] =>
  terms.map((term) => ({ ...term, coefficient: term.coefficient * by }));
const form = (terms: readonly FormTerm[], everywhere = 0n, realSamples = 0n): Form => ({
  terms,
  everywhere,
  realSamples,
});
