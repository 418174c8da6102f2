import type { Hex } from "@skynet/protocol";
import type { ProofKey } from "../script/key.ts";
import { CHECKS, Rejection } from "../script/rejection.ts";
import { TABLE_ID } from "../script/script.ts";
import { compileVerifier } from "../solidity/compile.ts";
import { generateVerifier } from "../solidity/generate.ts";
import { verify } from "../verify/verify.ts";
import { type Attack, EVERYTHING, type SubjectName } from "./attack.ts";
import type { VerifierChain } from "./evm.ts";
import { inspect } from "./inspect.ts";
import { protocolAttacks } from "./protocol-attacks.ts";
import { statementAttacks } from "./statement-attacks.ts";
import { type Forgery, HEADER, inferenceSubject, stepSubject, type Subject } from "./subject.ts";
import { witnessAttacks } from "./witness-attacks.ts";

export const attacks: readonly Attack[] = [...witnessAttacks, ...protocolAttacks, ...statementAttacks];

export type Subjects = ReadonlyMap<SubjectName, Subject>;

export async function createSubjects(hiding: boolean): Promise<Subjects> {
  return new Map<SubjectName, Subject>([
    ["step", await stepSubject({ hiding })],
    ["inference", await inferenceSubject({ hiding, input: "public" })],
    ["committed input", await inferenceSubject({ hiding, input: "committed" })],
    ["committed inference", await inferenceSubject({ hiding, input: "public", output: "committed" })],
  ]);
}

/** Attacks on proofs that hide, or on those that do not. */
export const attacksOn = (hiding: boolean): Attack[] =>
  attacks.filter((attack) => attack.hiding === undefined || attack.hiding === hiding);

/** Where a factor is hidden, or multiplies a public input, the last equation of the contractions is a claim. */
const isClaimed = ({ circuit: { statement, settings } }: Subject): boolean =>
  settings.hiding || (statement === "inference" && settings.input === "public");
const expectedCheck = (subject: Subject, check: string): string =>
  check === "contractions" && isClaimed(subject) ? "opening fold" : check;
const expectedFalsehood = (subject: Subject, name: string): string =>
  name === "check: contractions" && isClaimed(subject) ? "contractions" : name;

/** `accepted`, or the check that refuses a proof. */
export async function verdict({ key }: Subject, { header, proof, omitted }: Forgery): Promise<string> {
  try {
    await verify(key, header, proof, { omitted });
    return "accepted";
  } catch (error) {
    if (error instanceof Rejection) return error.check;
    throw error;
  }
}

/** Generated contracts on a chain, all at the address that the tests' proofs name. */
export class Contracts {
  readonly #chain: VerifierChain;
  readonly #code = new Map<string, Promise<Hex>>();
  #installed: { id: string; ready: Promise<void> } | undefined;

  constructor(chain: VerifierChain) {
    this.#chain = chain;
  }

  /** What the contract of a subject says, without the checks that the forgery leaves out. */
  async verdict({ key }: Subject, { header, proof, omitted }: Forgery): Promise<string> {
    const id = [key.circuitHash, ...omitted].join("/");
    if (!this.#code.has(id)) this.#code.set(id, codeOf(key, omitted));
    if (this.#installed?.id !== id)
      this.#installed = {
        id,
        ready: this.#code.get(id)!.then((code) => this.#chain.install(HEADER.verifier, code)),
      };
    await this.#installed.ready;
    return this.#chain.verdict(HEADER.verifier, header, proof);
  }
}

/** Runtime code of the contract of a key. */
export async function codeOf(key: ProofKey, omitted: ReadonlySet<string> = new Set()): Promise<Hex> {
  const { source } = await generateVerifier(key, { omitted });
  return (await compileVerifier(source)).runtime;
}

/**
 * All that is false about a forgery, by what the prover committed to; lies to the verifier as `check: name`. That the
 * opening ends in another value than a false claim says is no lie of its own.
 */
export async function falsehoods(subject: Subject, forgery: Forgery): Promise<string[]> {
  const { relations, claims, checks } = await inspect(subject.key, forgery);
  const lies = [...checks.keys()].filter((name) => claims.size === 0 || name !== "opening fold");
  return [...relations, ...claims.keys(), ...lies.map((name) => `check: ${name}`)].sort();
}

/** Throws unless both verifiers refuse an attack at the expected check, and exactly the expected things are false. */
export async function assertRefused(subjects: Subjects, contracts: Contracts, attack: Attack): Promise<void> {
  const subject = subjects.get(attack.on)!;
  const forgery = await attack.forge(subject, new Set());
  const check = expectedCheck(subject, attack.check);
  expectSame(`${attack.name}: TypeScript`, await verdict(subject, forgery), check);
  expectSame(`${attack.name}: Solidity`, await contracts.verdict(subject, forgery), check);
  if (attack.falsifies.includes(EVERYTHING) || attack.check === "length") return;
  const actual = await falsehoods(subject, forgery);
  const expected = attack.falsifies.filter((name) => name !== TABLE_ID).map((name) => expectedFalsehood(subject, name));
  expectSame(`${attack.name}: false`, actual.join("; "), [...expected].sort().join("; "));
}

/** Throws unless both verifiers accept an attack once the named relation or check is left out of everything. */
export async function assertPasses(
  subjects: Subjects,
  contracts: Contracts | undefined,
  attack: Attack,
  without: string,
): Promise<void> {
  const subject = subjects.get(attack.on)!;
  const forgery = await attack.forge(subject, new Set([without]));
  const name = `${attack.name}, without ${without}`;
  expectSame(`${name}: TypeScript`, await verdict(subject, forgery), "accepted");
  if (contracts === undefined) return;
  expectSame(`${name}: Solidity`, await contracts.verdict(subject, forgery), "accepted");
}

function expectSame(what: string, actual: string, expected: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`);
}

/** Names of everything that a verifier can leave out: relations and claims of the circuits, and checks. */
export async function everyName(subjects: Subjects): Promise<Set<string>> {
  // a call cannot change the chain: solidity/runtime.test.ts starts another one
  const names = new Set<string>([...CHECKS.filter((name) => name !== "chain"), TABLE_ID]);
  for (const subject of subjects.values()) {
    for (const { parts } of subject.circuit.products) for (const { name } of parts) names.add(name);
    const { allClaims } = await inspect(subject.key, await subject.prove());
    for (const name of allClaims) names.add(name);
  }
  return names;
}
