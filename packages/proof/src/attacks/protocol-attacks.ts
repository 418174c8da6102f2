// Provers that lie in messages, helpers, operands, points and the opening.
import { zerocheckProducts } from "../circuit/hidden.ts";
import { GENERATOR, isInfinity, type Point } from "../field/curve.ts";
import { inverse, mod, P, Q } from "../field/fr.ts";
import { noBlinders } from "../hiding/blinders.ts";
import type { Interference } from "../prove/prover.ts";
import { type Attack, attack, EVERYTHING, falseClaim, solveWord, type SubjectName, wordLie } from "./attack.ts";
import { cell, on, set } from "./cells.ts";
import { type Findings, inspect } from "./inspect.ts";
import type { Changes, Subject } from "./subject.ts";

/** A gradient that passes through a dead unit, or a wrong one: false in one relation. */
const RELATION = "h0.gradient = sign quotient";
const falseGradient: Changes = {
  alter: on({
    "h0.gradient": (values) => {
      values[cell(0, 0)]! += 3n;
    },
  }),
};

/** Names of words behind the zerocheck, and whether they exist only where proofs hide. */
const words: Attack[] = [
  ...["range.upper", "range.lower", "pairs", "h0", "top", "label", "softmax"].map((name) => ({ name, hiding: false })),
  ...["range.helper", "range.first", "range.second"].map((name) => ({ name, hiding: true })),
]
  .flatMap(({ name, hiding }) => ["left", "right"].map((side) => ({ word: `${name}.${side}`, hiding })))
  .concat(["pairTable.0", "pairTable.1"].map((word) => ({ word, hiding: false })))
  .map(({ word, hiding }) => ({ ...wordLie(word, falseGradient, RELATION), ...(hiding ? { hiding } : {}) }));

const message = (
  wanted: string,
  at: number,
  change: (values: readonly bigint[]) => bigint[],
): { interference: Interference } => ({
  interference: { message: (id, round, values) => (id === wanted && round === at ? change(values) : undefined) },
});

const plusOne = (index: number) => (values: readonly bigint[]) => values.with(index, mod(values[index]! + 1n));

/** An operand that differs from what is committed, with the same inner product. */
function otherOperand(name: string, side: "left" | "right"): Changes {
  return {
    interference: {
      operands: (own, left, right) => {
        if (own !== name) return;
        const [target, other] = side === "left" ? [left, right] : [right, left];
        const i = other.findIndex((value) => value !== 0n);
        const j = target.findIndex((_, k) => k !== i);
        if (i < 0 || j < 0) throw new Error(`${name} has no operand to change`);
        // target . other stays: other_j moved to target_i, other_i to target_j
        target[i] = mod(target[i]! + other[j]!);
        target[j] = mod(target[j]! - other[i]!);
      },
    },
  };
}

const operand = (name: string, on: SubjectName = "step"): Attack => {
  const [contraction, side] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf(".") + 1)];
  return attack(
    `another operand ${name} with the same product (${on})`,
    "opening fold",
    [name],
    otherOperand(contraction, side as "left"),
    { on },
  );
};

const operands: Attack[] = [
  ...["forward.0", "forward.1", "backward.1", "update.0", "update.1"].flatMap((name) => [
    operand(`${name}.left`),
    operand(`${name}.right`),
  ]),
  operand("forward.1.right", "inference"),
  operand("forward.1.left", "inference"),
  attack("another operand than the public input", "contractions", ["contractions"], otherOperand("forward.0", "left"), {
    on: "inference",
    falsifies: ["check: contractions"],
  }),
];

const lies: Attack[] = [
  falseClaim("a lie in the first round of the zerocheck", "zerocheck", (subject) =>
    message("zerocheck", subject.circuit.zerocheckVars - 1, plusOne(0)),
  ),
  falseClaim("a lie in the last round of the zerocheck", "zerocheck", message("zerocheck", 0, plusOne(4))),
  ...[0, 1].map((index) =>
    attack(
      `a lie in the last round of the contractions, word ${index}`,
      "contractions",
      ["contractions"],
      message("contractions", 0, plusOne(index)),
      { falsifies: ["check: contractions"] },
    ),
  ),
  attack("a lie about the sum of contractions", "contractions", [], message("contractions", -1, plusOne(0)), {
    falsifies: ["check: contractions", "sums of contractions"],
  }),
  attack("a lie about an operand", "contractions", [], message("operands", -1, plusOne(0)), {
    falsifies: ["check: contractions", "forward.0.left"],
  }),
  attack(
    "two operands that lie, their product right",
    "opening fold",
    [],
    ({ circuit, hidden }) =>
      message("operands", -1, (values) => {
        const cells = hidden.secrets.tensors.get("pads");
        const pair = zerocheckProducts(circuit).length;
        const [u, v] = [cells?.[pair] ?? 0n, cells?.[2 ** (circuit.pads?.productVars ?? 0) + pair] ?? 0n];
        const [left, right] = [values[0]! - u, values[1]! - v];
        return values.with(0, mod(2n * left + u)).with(1, mod(right * inverse(2n) + v));
      }),
    { falsifies: ["forward.0.left", "forward.0.right"] },
  ),
  attack("a lie in the claim sumcheck", "opening fold", ["opening fold"], message("claims", 0, plusOne(1)), {
    falsifies: ["check: opening fold"],
  }),
];

const helpers: Attack[] = [
  attack("two helpers that make up for each other", "opening fold", ["zerocheck"], {
    interference: {
      helpers: (cells) => {
        cells[0] = mod(cells[0]! + 1n);
        cells[1] = mod(cells[1]! - 1n);
      },
    },
  }),
  attack(
    "one helper is wrong",
    "opening fold",
    [],
    { interference: { helpers: (cells) => void (cells[0] = mod(cells[0]! + 1n)) } },
    { falsifies: ["sum of helpers", "zerocheck"] },
  ),
  falseClaim("a digit out of range, its lack hidden in a helper", "zerocheck", {
    alter: on({ "h0.quotient": (values) => void (values[0]! += 1n) }),
    interference: { helpers: (cells) => hideSum(cells, 0) },
  }),
  falseClaim("a digit out of range, its lack hidden between the slots of the helpers", "sum of helpers", (subject) => ({
    alter: on({ "h0.quotient": (values) => void (values[0]! += 1n) }),
    interference: {
      helpers: (cells) => hideSum(cells, subject.circuit.tensors.find(({ name }) => name === "helpers")!.used),
    },
  })),
];

function hideSum(cells: bigint[], at: number): void {
  cells[at] = mod(cells[at]! - cells.reduce((a, b) => a + b));
}

/** A false claim, hidden in words of the opening that are solved for. */
const falseWeight: Changes = { alter: on({ next: set(0, 12345n) }) };

/** The last odd part makes the folds end in the right value, then kappa makes the values interpolate. */
async function solveOpening(subject: Subject, omitted: ReadonlySet<string>, withKappa: boolean) {
  const lackOf = (name: string) => (findings: Findings) => findings.checks.get(name) ?? 0n;
  let changed: Interference = {};
  const prove = () => subject.prove({ ...falseWeight, interference: changed, omitted });
  const first = await prove();
  const { at } = await inspect(subject.key, first);
  const last = 2 * subject.circuit.settings.blockBits - 1;
  const odd = await solveWord(subject, first, at.get("evaluations")! + 32 * last, lackOf("opening fold"));
  const evaluations = (id: string, values: readonly bigint[]) =>
    id === "evaluations" ? values.with(last, odd) : undefined;
  changed = { message: (id, _, values) => evaluations(id, values) };
  if (!withKappa) return prove();
  const kappa = await solveWord(subject, await prove(), at.get("kappa")!, lackOf("opening interpolation"));
  changed = { message: (id, _, values) => evaluations(id, values) ?? (id === "kappa" ? [kappa] : undefined) };
  return prove();
}

const OPENED = "sums of contractions";
const opening: Attack[] = [
  attack("an evaluation of a fold is a lie", "opening interpolation", [], message("evaluations", -1, plusOne(0)), {
    falsifies: ["check: opening interpolation"],
  }),
  {
    ...attack("evaluations whose folds end in a false value", "opening interpolation", [], {}),
    falsifies: [OPENED, "check: opening interpolation"],
    without: [OPENED],
    forge: (subject, omitted) => solveOpening(subject, omitted, false),
  },
  {
    ...attack("evaluations whose folds end in a false value, and a kappa to match", "pairing", [], {}),
    falsifies: [OPENED],
    without: [OPENED, "pairing"],
    forge: (subject, omitted) => solveOpening(subject, omitted, true),
  },
  attack(
    "a last fold that ends in a false value",
    "opening interpolation",
    ["opening interpolation"],
    {
      ...falseWeight,
      interference: {
        folds: (folds, vectors, value) => {
          folds[folds.length - 1] = vectors.fromBigInts([value, value]);
        },
      },
    },
    { falsifies: [OPENED, "check: opening interpolation"] },
  ),
  attack("a lie about kappa", "opening interpolation", [], message("kappa", -1, plusOne(0)), {
    falsifies: ["check: opening interpolation"],
  }),
];

/** A product of pads that is none: it would make any product of hidden values come out as the prover likes. */
const falsePads: Changes = {
  secrets: (tensors, { pads }) => {
    const { productVars, products } = pads!;
    tensors.get("pads")![2 * 2 ** productVars + products]! += 1n;
  },
};

/** A word at the end of the pads' zerocheck that makes its equation hold all the same. */
const padWord = (index: 0 | 1): Attack => {
  const name = index === 0 ? "pads.left" : "pads.right";
  return {
    ...attack(`the word ${name} repairs a false product of pads`, "opening fold", [name], {}, { hiding: true }),
    falsifies: ["product of pads", name],
    forge: async (subject, omitted) => {
      const first = await subject.prove({ ...falsePads, omitted });
      const { at } = await inspect(subject.key, first);
      const lack = ({ claims }: Findings) => claims.get("products of pads") ?? 0n;
      const value = await solveWord(subject, first, at.get("pads")! + 32 * index, lack);
      return subject.prove({ ...falsePads, ...message("pads", -1, (values) => values.with(index, value)), omitted });
    },
  };
};

const hidden = { hiding: true } as const;
const pads: Attack[] = [
  attack("a false product of pads", "opening fold", ["products of pads"], falsePads, {
    ...hidden,
    falsifies: ["product of pads", "products of pads"],
  }),
  padWord(0),
  padWord(1),
  attack("a lie in the last round of the pads", "opening fold", [], message("pads", 0, plusOne(1)), {
    ...hidden,
    falsifies: ["products of pads"],
  }),
  attack("a lie about the sum of the mask", "opening fold", ["opening fold"], message("mask", -1, plusOne(0)), {
    ...hidden,
    falsifies: ["check: opening fold"],
  }),
  attack("a lie about the blind", "opening fold", ["opening fold"], message("blind", -1, plusOne(0)), {
    ...hidden,
    falsifies: ["check: opening fold"],
  }),
  attack("a lie about the blinder of what is opened", "pairing", ["pairing"], message("blinder", -1, plusOne(0)), {
    ...hidden,
    falsifies: [],
  }),
  attack(
    "another blinder than the commitment of the next weights has",
    "pairing",
    ["pairing"],
    { blinders: (blinders) => void blinders.set("next", [5n]) },
    { ...hidden, falsifies: [] },
  ),
];

const points = (wanted: string, change: (points: Point[]) => void): { interference: Interference } => ({
  interference: { commitments: (name, list) => void (name === wanted && change(list)) },
});

const swapFirst = (list: Point[]): void => void ([list[0], list[1]] = [list[1]!, list[0]!]);
const replace = (list: Point[]): void => void (list[0] = GENERATOR);

const commitments: Attack[] = [
  attack("swapped blocks of the ranged columns", "pairing", ["pairing"], points("auxiliary", swapFirst), {
    falsifies: [],
  }),
  attack("swapped blocks of the helpers", "pairing", ["pairing"], points("helpers", swapFirst), { falsifies: [] }),
  attack("another fold", "pairing", ["pairing"], points("folds", replace), { falsifies: [] }),
  attack("another quotient", "pairing", ["pairing"], points("quotient", replace), { falsifies: [] }),
  attack("another witness of the opening", "pairing", ["pairing"], points("witness", replace), { falsifies: [] }),
  attack(
    "a coordinate beyond the modulus",
    "precompile",
    [],
    points("folds", (list) => void (list[0] = { x: list[0]!.x + Q, y: list[0]!.y })),
    { falsifies: [] },
  ),
  attack(
    "a point off the curve",
    "precompile",
    [],
    points("quotient", (list) => void (list[0] = { x: list[0]!.x, y: mod(list[0]!.y + 1n, Q) })),
    { falsifies: [] },
  ),
  attack(
    "something off the curve in place of infinity",
    "precompile",
    ["precompile"],
    {
      ...points("auxiliary", (list) => {
        const at = list.findIndex(isInfinity);
        if (at < 0) throw new Error("no block is empty");
        list[at] = { x: 0n, y: 1n };
      }),
      blinders: (blinders) => {
        const own = blinders.get("auxiliary");
        if (own !== undefined) blinders.set("auxiliary", noBlinders(own.length));
      },
    },
    { falsifies: [] },
  ),
  attack(
    "a scalar plus the modulus",
    "scalar range",
    ["scalar range"],
    message("kappa", -1, ([kappa]) => [kappa! + P]),
    { falsifies: [] },
  ),
  attack(
    "a scalar of a sumcheck plus the modulus",
    "scalar range",
    ["scalar range"],
    message("zerocheck", 1, (values) => values.with(4, values[4]! + P)),
    { falsifies: [] },
  ),
  ...[
    ["auxiliary", "contractions"],
    ["helpers", "contractions"],
    ["folds", "opening interpolation"],
    ["quotient", "pairing"],
  ].map(([name, check]): Attack => {
    const own = attack(`commitments that are not absorbed: ${name}`, check!, [], {
      interference: { unabsorbed: new Set([name!]) },
    });
    // the verifier draws other challenges: what is true for the prover is false for it, in many places
    return { ...own, falsifies: [EVERYTHING] };
  }),
];

export const protocolAttacks: readonly Attack[] = [
  ...words,
  ...pads,
  ...operands,
  ...lies,
  ...helpers,
  ...opening,
  ...commitments,
];
