import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Anvil, startAnvil } from "../../../contracts/src/anvil.ts";
import type { Attack } from "./attack.ts";
import { VerifierChain } from "./evm.ts";
import {
  assertPasses,
  assertRefused,
  attacks,
  Contracts,
  createSubjects,
  everyName,
  falsehoods,
  type Subjects,
  verdict,
} from "./run.ts";

let subjects: Subjects;
let contracts: Contracts;
let anvil: Anvil;
const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-attacks-"));
beforeAll(async () => {
  anvil = await startAnvil({ dataDir, blockTimeSeconds: 0 });
  contracts = new Contracts(new VerifierChain(anvil.rpcUrl));
  subjects = await createSubjects();
});
afterAll(async () => {
  for (const subject of subjects.values()) await subject.close();
  await anvil.stop();
  fs.rmSync(dataDir, { recursive: true });
});

const named = (list: readonly Attack[]): [string, Attack][] => list.map((attack) => [attack.name, attack]);

test("honest proofs are accepted, and nothing about them is false", async () => {
  for (const [name, subject] of subjects) {
    const proof = await subject.prove();
    expect(await verdict(subject, proof)).toBe("accepted");
    expect(await contracts.verdict(name, subject, proof)).toBe("accepted");
    expect(await falsehoods(subject, proof)).toEqual([]);
  }
});

/** npm test takes a sample; `npm run fuzz -- proof-attacks --count 1000` takes all, and leaves out each name for each. */
const every = <T>(step: number, list: readonly T[]): T[] => list.filter((_, i) => i % step === 0);

describe("TypeScript and Solidity refuse", () => {
  test.each(named(every(3, attacks)))("%s", (_, attack) => assertRefused(subjects, contracts, attack));
});

test("every relation and every check is needed against some attack", async () => {
  const needed = new Set(attacks.flatMap(({ without }) => without));
  expect([...(await everyName(subjects))].filter((name) => !needed.has(name))).toEqual([]);
});

/** One attack for each relation and check. */
const pairs = [...new Set(attacks.flatMap(({ without }) => without))].map((name): [string, Attack] => [
  name,
  attacks.find(({ without }) => without.includes(name))!,
]);

describe("an attack passes without", () => {
  test.each(every(4, pairs))("%s", (name, attack) => assertPasses(subjects, undefined, attack, name));
});

describe("an attack passes the contract without", () => {
  test.each(every(13, pairs))("%s", (name, attack) => assertPasses(subjects, contracts, attack, name));
});
