import { concatBytes, equalBytes, fromHex, toHex } from "@skynet/protocol";
import { add, encodePoint, GENERATOR, isOnCurve, negate, readWord, writeWord } from "../field/curve.ts";
import { mod, P, Q } from "../field/fr.ts";
import type { StatementHeader } from "../script/statement.ts";
import type { randomIntegers } from "../testing.ts";

export type Random = ReturnType<typeof randomIntegers>;

/** A proof and what it is handed in for. */
export interface Submission {
  readonly header: StatementHeader;
  readonly proof: Uint8Array;
}

export interface Mutant extends Submission {
  readonly kind: string;
}

type Mutation = (random: Random, own: Submission, other: Submission) => Submission;

/** Changes the bytes. */
const bytes =
  (change: (random: Random, copy: Uint8Array, other: Uint8Array) => Uint8Array | void): Mutation =>
  (random, { header, proof }, other) => {
    const copy = proof.slice();
    return { header, proof: change(random, copy, other.proof) ?? copy };
  };

/** Words at the end, which only the opening's last checks see. */
const TAIL = 12;

/** Where a word begins; every third time near the end, because what lies before changes all later challenges. */
function place(random: Random, proof: Uint8Array): number {
  const words = Math.floor(proof.length / 32);
  return 32 * (random(0, 2) === 0 ? random(Math.max(0, words - TAIL), words - 1) : random(0, words - 1));
}

/** Changes one word, where the result fits 32 bytes. */
const word = (change: (value: bigint, random: Random) => bigint): Mutation =>
  bytes((random, copy) => {
    const at = place(random, copy);
    const value = change(readWord(copy, at), random);
    if (value >= 0n && value < 1n << 256n) writeWord(copy, at, value);
  });

const range = (random: Random, length: number): [number, number] => {
  const [a, b] = [random(0, length), random(0, length)];
  return a < b ? [a, b] : [b, a];
};

const randomWord = (random: Random): bigint => {
  let value = 0n;
  for (let i = 0; i < 8; i++) value = (value << 32n) | BigInt(random(0, 2 ** 32 - 1));
  return value;
};

const mutations: Record<string, Mutation> = {
  "flipped bit": bytes((random, copy) => void (copy[random(0, copy.length - 1)]! ^= 1 << random(0, 7))),
  "other byte": bytes((random, copy) => void (copy[random(0, copy.length - 1)] = random(0, 255))),
  "word + 1": word((value) => value + 1n),
  "word - 1": word((value) => value - 1n),
  "word + p": word((value) => value + P),
  "word + q": word((value) => value + Q),
  "word + 2 p": word((value) => value + 2n * P),
  "negated scalar": word((value) => mod(-value)),
  "negated coordinate": word((value) => mod(-value, Q)),
  "zero word": word(() => 0n),
  "largest word": word(() => (1n << 256n) - 1n),
  "random scalar": word((_, random) => mod(randomWord(random))),
  "copied word": bytes((random, copy) => {
    const [from, to] = [place(random, copy), place(random, copy)];
    copy.copyWithin(to, from, from + 32);
  }),
  "swapped words": bytes((random, copy) => {
    const [a, b] = [place(random, copy), place(random, copy)];
    const [x, y] = [readWord(copy, a), readWord(copy, b)];
    writeWord(copy, a, y);
    writeWord(copy, b, x);
  }),
  "copied point": bytes((random, copy) => {
    const from = 32 * random(0, copy.length / 32 - 2);
    copy.copyWithin(32 * random(0, copy.length / 32 - 2), from, from + 64);
  }),
  "zero point": bytes((random, copy) => {
    const at = 32 * random(0, copy.length / 32 - 2);
    copy.fill(0, at, at + 64);
  }),
  "moved point": bytes((random, copy) => {
    const at = Math.max(0, place(random, copy) - 32);
    const point = { x: readWord(copy, at), y: readWord(copy, at + 32) };
    if (isOnCurve(point)) copy.set(encodePoint(add(point, random(0, 1) === 0 ? GENERATOR : negate(point))), at);
  }),
  truncated: bytes((random, copy) => copy.slice(0, random(0, copy.length - 1))),
  extended: bytes((random, copy) => concatBytes(copy, new Uint8Array(random(1, 64)))),
  "words left out": bytes((random, copy) => {
    const [a, b] = range(random, copy.length / 32);
    return concatBytes(copy.slice(0, 32 * a), copy.slice(32 * b));
  }),
  "front of another proof": bytes((random, copy, other) => {
    const at = place(random, copy);
    return concatBytes(other.slice(0, at), copy.slice(at));
  }),
  "end of another proof": bytes((random, copy, other) => {
    const at = place(random, copy);
    return concatBytes(copy.slice(0, at), other.slice(at));
  }),
  "middle of another proof": bytes((random, copy, other) => {
    const [a, b] = range(random, copy.length / 32);
    copy.set(other.subarray(32 * a, 32 * b), 32 * a);
  }),
  "word of another proof": bytes((random, copy, other) => {
    const at = place(random, copy);
    copy.set(other.subarray(at, at + 32), at);
  }),
  "another header": (_, { proof }, { header }) => ({ header, proof }),
  "flipped bit of the header": (random, { header, proof }) => {
    const name = (["context", "idIn", "idOut", "idData"] as const)[random(0, 3)]!;
    const changed = fromHex(header[name]);
    changed[random(0, 31)]! ^= 1 << random(0, 7);
    return { header: { ...header, [name]: toHex(changed) }, proof };
  },
  "id of another proof": (random, { header, proof }, other) => {
    const name = (["context", "idIn", "idOut", "idData"] as const)[random(0, 3)]!;
    return { header: { ...header, [name]: other.header[name] }, proof };
  },
};

const kinds = Object.keys(mutations);
const same = (a: Submission, b: Submission): boolean =>
  equalBytes(a.proof, b.proof) &&
  (["context", "idIn", "idOut", "idData"] as const).every((name) => a.header[name] === b.header[name]);

/** A submission that differs from both valid ones; one in four carries two mutations. */
export function mutant(random: Random, own: Submission, other: Submission): Mutant {
  for (;;) {
    let result = own;
    const names: string[] = [];
    for (let i = random(0, 3) === 0 ? 2 : 1; i > 0; i--) {
      const kind = kinds[random(0, kinds.length - 1)]!;
      if (names.some((name) => /truncated|extended|left out/.test(name))) break;
      result = mutations[kind]!(random, result, other);
      names.push(kind);
    }
    if (!same(result, own) && !same(result, other)) return { ...result, kind: names.join(", ") };
  }
}
