// Witnesses that violate one relation and are consistent in all others.
import type { Circuit } from "../circuit/circuit.ts";
import { inverse, mod, P } from "../field/fr.ts";
import { centred } from "../reference/witness.ts";
import { type Attack, attack, falseClaim, falseProduct } from "./attack.ts";
import { add, cell, find, on, PADDED, place, REAL, SAMPLES, set } from "./cells.ts";
import type { Subject } from "./subject.ts";

const real = (at: number): boolean => REAL.includes(at);

/** Q - sign + 1 = magnitude (2 sign - 1) with a sign that is no bit and a magnitude in range. */
function strangeSign(quotients: readonly bigint[]): { at: number; sign: bigint } {
  for (const sign of [2n, 3n, 4n, 5n, -1n, -2n, -3n, -4n])
    for (const at of REAL) {
      const [numerator, denominator] = [quotients[at]! - sign + 1n, 2n * sign - 1n];
      if (numerator % denominator === 0n && numerator / denominator > 0n) return { at, sign };
    }
  throw new Error("the inputs offer no such cell");
}

/** Changes that look at the quotients of the hidden layer first. */
function hidden(change: (quotients: readonly bigint[]) => Record<string, (values: bigint[]) => void>): {
  alter: (name: string, values: bigint[]) => void;
} {
  let changes: Record<string, (values: bigint[]) => void> = {};
  return {
    alter: (name, values) => {
      if (name === "h0.quotient") changes = change([...values]);
      changes[name]?.(values);
    },
  };
}

const rectifier: Attack[] = [
  falseProduct("the sign of a unit is no bit", "h0.sign is boolean", () =>
    hidden((q) => {
      const { at, sign } = strangeSign(q);
      return { "h0.sign": set(at, sign) };
    }),
  ),
  falseProduct("a negative unit is active", "h0.activation = sign magnitude", () =>
    hidden((q) => {
      const at = find(q, (value, i) => real(i) && value < 0n);
      return { "h0.magnitude": set(at, 1n - q[at]!), "h0.activation": set(at, 1n) };
    }),
  ),
  falseProduct("an active unit gives one more than its quotient", "h0.activation = sign magnitude", () =>
    hidden((q) => {
      const at = find(q, (value, i) => real(i) && value > 0n);
      return { "h0.magnitude": set(at, q[at]! + 2n), "h0.activation": set(at, q[at]! + 1n) };
    }),
  ),
  falseProduct("a gradient passes through a dead unit", "h0.gradient = sign quotient", () =>
    hidden((q) => ({
      "h0.gradient": set(
        find(q, (value, i) => real(i) && value < 0n),
        5n,
      ),
    })),
  ),
  falseProduct("the gradient of a live unit is dropped", "h0.gradient = sign quotient", {
    alter: on({
      "h0.gradient": (values) => {
        values[find(values, (value, i) => real(i) && value !== 0n)] = 0n;
      },
    }),
  }),
  attack("a unit at zero is called negative", "opening fold", ["sum of helpers"], {
    inputs: ({ weights }) => {
      for (let row = 0; row < 8; row++) weights[4 * row] = 0n;
    },
    alter: on({ "h0.sign": set(cell(0, 0), 0n) }),
  }),
  attack("a positive unit is called negative", "opening fold", ["sum of helpers"], () =>
    hidden((q) => ({
      "h0.sign": set(
        find(q, (value, i) => real(i) && value > 0n),
        0n,
      ),
    })),
  ),
  attack("a negative unit is called positive", "opening fold", ["sum of helpers"], () =>
    hidden((q) => ({
      "h0.sign": set(
        find(q, (value, i) => real(i) && value < 0n),
        1n,
      ),
    })),
  ),
];

/** Remembers what is computed on the way. */
function watching(make: (seen: Map<string, bigint[]>) => Record<string, (values: bigint[]) => void>) {
  const seen = new Map<string, bigint[]>();
  const changes = make(seen);
  return {
    alter: (name: string, values: bigint[]) => {
      changes[name]?.(values);
      seen.set(name, [...values]);
    },
  };
}

/** S of the sample of a cell. */
const sumOf = (seen: ReadonlyMap<string, bigint[]>, at: number): bigint =>
  [0, 1, 2].reduce((sum, k) => sum + seen.get("o.exponential")![cell(at % SAMPLES, k)]!, 0n);

const setLabels = (labels: Record<number, bigint>) => (subject: Subject) => ({
  inputs: ({ batch }: { batch: bigint[] }) => {
    const start = place(subject.circuit, "label");
    for (const at of Object.keys(labels)) {
      const sample = Number(at) % SAMPLES;
      for (let k = 0; k < 4; k++) batch[start + cell(sample, k)] = 0n;
    }
    for (const [at, value] of Object.entries(labels)) batch[start + Number(at)] = value;
  },
});

const both = { falsifies: ["one label per sample", "no label in padding"] };
const SECOND = "the second largest logit is called the maximum";

const loss: Attack[] = [
  // Harmless alone: a top with sum 1 that is zero where u is not zero shows that u is zero somewhere, a bit or not.
  falseProduct("a tie is shared as (2, -1)", "o.top is boolean", () => ({
    inputs: ({ weights }) => {
      for (let row = 0; row < 5; row++) weights[32 + 4 * row + 1] = weights[32 + 4 * row]!;
      for (const k of [0, 1]) weights[32 + 4 * 4 + k] = 1n << 16n;
    },
    alter: on({
      "o.top": (values) => {
        values[cell(0, 0)] = 2n;
        values[cell(0, 1)] = -1n;
      },
    }),
  })),
  falseProduct("the maximum is larger than every logit", "o.maximum is reached", {
    alter: on({ "o.maximum": add(0, 3n) }),
  }),
  attack(SECOND, "opening fold", ["sum of helpers"], () =>
    watching((seen) => ({
      "o.top": (values) => {
        const z = seen.get("o.quotient")!;
        const order = [0, 1, 2].sort((a, b) => Number(z[cell(0, b)]! - z[cell(0, a)]!));
        values[cell(0, order[0]!)] = 0n;
        values[cell(0, order[1]!)] = 1n;
      },
    })),
  ),
  falseClaim("the maximum is that of a padded class", "one o.top per sample", {
    alter: on({
      "o.top": (values) => {
        for (let k = 0; k < 3; k++) values[cell(0, k)] = 0n;
        values[cell(0, PADDED)] = 1n;
      },
      "o.maximum": set(0, 40n),
    }),
  }),
  falseClaim("no class is the maximum", "one o.top per sample", {
    alter: on({
      "o.top": (values) => {
        for (let k = 0; k < 3; k++) values[cell(0, k)] = 0n;
      },
      "o.maximum": set(0, 40n),
    }),
  }),
  falseProduct("a label of (2, -1)", "label is boolean", setLabels({ [cell(0, 0)]: 2n, [cell(0, 1)]: -1n })),
  attack("two labels", "opening fold", [], setLabels({ [cell(0, 0)]: 1n, [cell(0, 1)]: 1n }), both),
  attack("no label", "opening fold", [], setLabels({ [cell(0, 0)]: 0n }), both),
  attack("a label in a padded sample", "opening fold", [], setLabels({ [cell(PADDED, 0)]: 1n }), both),
  falseClaim("the label is a padded class", "one label per sample", setLabels({ [cell(0, PADDED)]: 1n })),
  falseClaim(
    "a second label in a padded class",
    "no label in padding",
    setLabels({ [cell(0, 0)]: 1n, [cell(0, PADDED)]: 1n }),
  ),
  falseClaim(
    "a label in a padded class of a padded sample",
    "no label in padding",
    setLabels({ [cell(PADDED, PADDED)]: 1n }),
  ),
  falseProduct("a probability is one too large", "softmax division", () =>
    watching((seen) => ({
      "o.probability": add(0, 1n),
      "o.rest": (values) => {
        values[0]! += 2n * sumOf(seen, 0);
      },
    })),
  ),
  attack("a probability rounded down, its rest beyond the divisor", "opening fold", ["sum of helpers"], {
    alter: on({
      "o.probability": (values) => {
        values[find(values, (value, i) => real(i) && value > 0n)]! -= 1n;
      },
    }),
  }),
  falseClaim("the same with a complement that is in range", "o.rest < 2 sum", () => {
    let at = 0;
    return {
      alter: on({
        "o.probability": (values) => {
          at = find(values, (value, i) => real(i) && value > 0n);
          values[at]! -= 1n;
        },
        "o.restComplement": (values) => {
          values[at] = 0n;
        },
      }),
    };
  }),
  attack("a probability rounded up, its rest negative", "opening fold", ["sum of helpers"], {
    alter: on({ "o.probability": add(0, 1n) }),
  }),
  attack("a probability that is a fraction in the field", "opening fold", ["sum of helpers"], () => {
    const at = cell(0, 0);
    return {
      // the column is zero, so that the gradients below do not see the fraction
      inputs: ({ weights }) => {
        for (let row = 0; row < 8; row++) weights[32 + 4 * row] = 0n;
      },
      ...watching((seen) => ({
        "o.probability": (values) => {
          const e = seen.get("o.exponential")!;
          const numerator = (e[at]! << 9n) + sumOf(seen, at);
          const divisor = 2n * sumOf(seen, at);
          const rest = numerator - divisor * values[at]!;
          values[at] = mod((numerator - ((rest + 1n) % divisor)) * inverse(divisor));
        },
      })),
    };
  }),
];

/** The quotient moves by `by`, its remainder makes up for it and leaves its range. */
const moved = (name: string, by: bigint) => ({ alter: on({ [name]: add(cell(0, 0), by) }) });

/** R + 1 and the quotient that the field then has: what an unranged quotient would allow. */
function fraction(quotient: string, remainder: string): { alter: (name: string, values: bigint[]) => void } {
  return {
    alter: on({
      [quotient]: (values) => {
        values[cell(0, 0)] = mod(values[cell(0, 0)]! - inverse(1n << 21n));
      },
      [remainder]: (values) => {
        values[cell(0, 0)] = centred(values[cell(0, 0)]!);
      },
    }),
  };
}

const outOfRange = (name: string, changes: Parameters<typeof attack>[3]): Attack =>
  attack(name, "opening fold", ["sum of helpers"], changes);

const ranges: Attack[] = [
  outOfRange("a hidden quotient rounded up, its remainder negative", moved("h0.quotient", 1n)),
  outOfRange("a hidden quotient rounded down, its remainder too large", moved("h0.quotient", -1n)),
  outOfRange("a hidden quotient that is a fraction in the field", fraction("h0.quotient", "h0.remainder")),
  outOfRange("a logit rounded up: softmax is dithered", moved("o.quotient", 1n)),
  outOfRange("a logit rounded down: softmax is dithered", moved("o.quotient", -1n)),
  outOfRange("a logit that is a fraction in the field", fraction("o.quotient", "o.remainder")),
  outOfRange("a gradient rounded up", moved("h0.roundedGradient", 1n)),
  outOfRange("a gradient rounded down", moved("h0.roundedGradient", -1n)),
  outOfRange(
    "a gradient that is a fraction in the field, of whatever unit",
    fraction("h0.roundedGradient", "h0.gradientRemainder"),
  ),
  outOfRange("a padded hidden unit that is not zero", { alter: on({ "h0.quotient": set(cell(0, PADDED), 5n) }) }),
  outOfRange("a digit in a gap of the ranged columns is out of range", (subject) => ({
    alter: on({ ranged: set(endOf(subject.circuit, "ranged"), 1000n) }),
  })),
];

const endOf = ({ tensors }: Circuit, tensor: string): number => tensors.find(({ name }) => name === tensor)!.used;

/** The quotient moves, the remainder does not. */
const unmatched = (name: string, quotient: string, digit: string): Attack =>
  falseClaim(name, "sums of contractions", {
    alter: (own, values) => {
      if (own === quotient) values[cell(0, 0)]! += 1n;
      if (own === digit) values[cell(0, 0)]! += 1n << 21n;
    },
  });

const next = (name: string, change: (values: bigint[], subject: Subject) => void): Attack =>
  falseClaim(name, "sums of contractions", (subject) => ({
    alter: on({ next: (values) => change(values, subject) }),
  }));

const contractions: Attack[] = [
  unmatched("a hidden value without its product", "h0.quotient", "h0.remainder"),
  unmatched("a logit without its product", "o.quotient", "o.remainder"),
  unmatched("a gradient without its product", "h0.roundedGradient", "h0.gradientRemainder"),
  next("a weight moves by one", (values) => add(0, 1n)(values)),
  next("a bias of the last layer moves by one", (values) => add(32 + 4 * 4, 1n)(values)),
  next("a weight is a fraction in the field", (values) => add(3, inverse(2n))(values)),
  next("weights of a padded row grow", (values) => add(4 * 7, 9n)(values)),
  next("weights of a padded class grow", (values) => add(32 + PADDED, 9n)(values)),
  next("something grows behind the weights", (values, { circuit }) => add(endOf(circuit, "weights"), 9n)(values)),
  next("no step at all", (values, { inputs }) => inputs.weights.forEach((value, i) => (values[i] = value))),
  next("twice the learning rate", (values, { inputs }) =>
    inputs.weights.forEach((value, i) => (values[i] = 2n * values[i]! - value)),
  ),
  next("a weight plus the modulus over two", (values) => add(0, P / 2n)(values)),
];

const lookups: Attack[] = [
  outOfRange("multiplicities of digits of another run", {
    alter: on({
      table: (values) => {
        values[1]! += 1n;
        values[2]! -= 1n;
      },
    }),
  }),
  outOfRange("multiplicities of pairs of another run", {
    alter: on({
      pairTable: (values) => {
        values[1]! += 1n;
        values[2]! -= 1n;
      },
    }),
  }),
  outOfRange("an exponential that is not in the table", { alter: on({ "o.exponential": add(cell(0, 0), 1n) }) }),
  outOfRange("the exponential of another difference", () =>
    watching((seen) => ({
      "o.exponential": (values) => {
        const [z, max] = [seen.get("o.quotient")!, seen.get("o.maximum")!];
        const at = REAL.find((i) => z[i]! < max[i % SAMPLES]!)!;
        values[at] = values[REAL.find((i) => i % SAMPLES === at % SAMPLES && z[i] === max[i % SAMPLES])!]!;
      },
    })),
  ),
  {
    // 400 is no digit of 7 bits; in the table of pairs it stands for exp(-400 / 16), which is zero
    ...outOfRange("a digit looked up in the table of exponentials", (subject) => ({
      alter: on({
        ranged: set(endOf(subject.circuit, "ranged"), 400n),
        pairTable: add(400, 1n),
      }),
    })),
    without: ["sum of helpers", "table id"],
  },
];

export const witnessAttacks: readonly Attack[] = [...rectifier, ...loss, ...ranges, ...contractions, ...lookups];
