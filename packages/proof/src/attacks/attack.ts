import { zerocheckProducts } from "../circuit/hidden.ts";
import { exponentialWords } from "../script/script.ts";
import { readWord, writeWord } from "../field/curve.ts";
import { inverse, mod } from "../field/fr.ts";
import { type Findings, inspect } from "./inspect.ts";
import type { Changes, Forgery, Subject } from "./subject.ts";

/** The verifier draws other challenges than the prover did: so much is false that it is not listed. */
export const EVERYTHING = "*";

export type SubjectName = "step" | "inference" | "committed inference" | "committed input";

/** One thing that a malicious prover does; everything behind it is computed honestly. */
export interface Attack {
  readonly name: string;
  readonly on: SubjectName;
  /** Only where proofs hide, or only where they do not. */
  readonly hiding?: boolean;
  /** The check that refuses it, in TypeScript and on chain. */
  readonly check: string;
  /** All relations and claims that are false about what was committed, with the checks' names where words lie. */
  readonly falsifies: readonly string[];
  /** Leaving out any single one of these lets the attack pass: each of them is needed. */
  readonly without: readonly string[];
  readonly forge: (subject: Subject, omitted: ReadonlySet<string>) => Promise<Forgery>;
}

type Make = Changes | ((subject: Subject) => Changes);

const changesOf = (make: Make, subject: Subject): Changes => (typeof make === "function" ? make(subject) : make);

/** An attack that honest code proves after a change. */
export function attack(
  name: string,
  check: string,
  without: readonly string[],
  make: Make,
  { on = "step", falsifies = without, ...rest }: Partial<Pick<Attack, "on" | "falsifies" | "hiding">> = {},
): Attack {
  const forge = (subject: Subject, omitted: ReadonlySet<string>) =>
    subject.prove({ ...changesOf(make, subject), omitted });
  return { name, on, check, falsifies, without, forge, ...rest };
}

/** A product of columns that does not hold: its part of the zerocheck is needed, and so is the zerocheck's claim. */
export const falseProduct = (name: string, relation: string, make: Make): Attack =>
  attack(name, "opening fold", [relation, "zerocheck"], make);

/** A claim that does not hold. */
export const falseClaim = (name: string, claim: string, make: Make): Attack =>
  attack(name, "opening fold", [claim], make);

/** Changes a finished proof, or what it is said to be about. */
export function edited(
  name: string,
  check: string,
  without: readonly string[],
  edit: (forgery: Forgery, subject: Subject) => Partial<Forgery>,
  on: SubjectName = "step",
  make: Make = {},
): Attack {
  const forge = async (subject: Subject, omitted: ReadonlySet<string>) => {
    const forgery = await subject.prove({ ...changesOf(make, subject), omitted });
    return { ...forgery, ...edit(forgery, subject) };
  };
  return { name, on, check, falsifies: [], without, forge };
}

/** The same proof with another word. */
export function withWord(proof: Uint8Array, at: number, value: bigint): Uint8Array {
  const copy = proof.slice();
  writeWord(copy, at, value);
  return copy;
}

/**
 * The value of a word that makes `lack` zero, where `lack` is linear in the word; nothing behind the word may matter.
 * A prover can compute the same from what it knows.
 */
export async function solveWord(
  subject: Subject,
  forgery: Forgery,
  at: number,
  lack: (findings: Findings) => bigint,
): Promise<bigint> {
  const low = readWord(forgery.proof, at);
  const high = mod(low + 1n);
  const lackAt = async (value: bigint) =>
    lack(await inspect(subject.key, { ...forgery, proof: withWord(forgery.proof, at, value) }));
  const [a, b] = [await lackAt(low), await lackAt(high)];
  return mod(low - a * inverse(b - a));
}

/** Which products depend on the result of another: a lie in a factor goes on into theirs, so that no other claim is false. */
function lieIn(subject: Subject, words: readonly bigint[], word: string, by: bigint): bigint[] {
  const { circuit, hidden } = subject;
  const names = zerocheckProducts(circuit);
  const lied = [...words];
  const pads = hidden.secrets.tensors.get("pads");
  const pairs = 2 ** (circuit.pads?.productVars ?? 0);
  const index = (name: string) =>
    2 * names.indexOf(name.slice(0, name.lastIndexOf("."))) + (name.endsWith("right") ? 1 : 0);
  const valueOf = (name: string): bigint => {
    const at = index(name);
    return mod(words[at]! - (pads?.[(at % 2) * pairs + Math.floor(at / 2)] ?? 0n));
  };
  const add = (name: string, amount: bigint) => {
    const at = index(name);
    if (at >= 0) lied[at] = mod(lied[at]! + amount);
  };
  add(word, by);
  if (!circuit.settings.hiding || !word.startsWith("range.")) return lied;
  const product = word.slice(0, word.lastIndexOf("."));
  const change = by * valueOf(word.endsWith("left") ? `${product}.right` : `${product}.left`);
  if (product === "range.upper") {
    add("range.helper.right", change);
    add("range.second.left", change);
    add("range.first.right", valueOf("range.helper.left") * change);
  }
  if (product === "range.lower") add("range.first.left", change);
  if (product === "range.helper") add("range.first.right", change);
  return lied;
}

/**
 * A relation of the zerocheck is false, and one word behind the zerocheck is chosen so that its equation holds: only the
 * claim about that word stands against it.
 */
export function wordLie(word: string, base: Changes, relation: string): Attack {
  const forge = async (subject: Subject, omitted: ReadonlySet<string>) => {
    const tables = exponentialWords(subject.circuit);
    const id = tables.includes(word) ? "exponentials" : "zerocheck";
    const lie = (words: readonly bigint[], by: bigint) =>
      id === "exponentials"
        ? words.with(tables.indexOf(word), mod(words[tables.indexOf(word)]! + by))
        : lieIn(subject, words, word, by);
    const first = await subject.prove({ ...base, omitted });
    const { at } = await inspect(subject.key, first);
    const from = at.get(id)!;
    const count = id === "exponentials" ? tables.length : 2 * zerocheckProducts(subject.circuit).length;
    const words = Array.from({ length: count }, (_, i) => readWord(first.proof, from + 32 * i));
    const lackAt = async (by: bigint) => {
      const proof = lie(words, by).reduce((own, value, i) => withWord(own, from + 32 * i, value), first.proof);
      return (await inspect(subject.key, { ...first, proof })).claims.get("zerocheck") ?? 0n;
    };
    const [none, one] = [await lackAt(0n), await lackAt(1n)];
    const by = mod(-none * inverse(one - none));
    const message = (own: string, round: number, values: readonly bigint[]) =>
      own === id && round < 0 ? lie(values, by) : undefined;
    return subject.prove({ ...base, interference: { message }, omitted });
  };
  return {
    name: `the word ${word} repairs a false relation`,
    on: "step",
    check: "opening fold",
    falsifies: [relation, word],
    without: [word],
    forge,
  };
}
