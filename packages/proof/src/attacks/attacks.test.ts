import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Anvil, startAnvil } from "../../../contracts/src/anvil.ts";
import type { Alter } from "../reference/witness.ts";
import { concatBytes } from "@skynet/protocol";
import { type Attack, withWord } from "./attack.ts";
import { cell, on, PADDED } from "./cells.ts";
import { calldata, VerifierChain } from "./evm.ts";
import {
  assertPasses,
  assertRefused,
  attacksOn,
  Contracts,
  createSubjects,
  everyName,
  falsehoods,
  type Subjects,
  verdict,
} from "./run.ts";
import { type Changes, HEADER } from "./subject.ts";

let subjects: Subjects;
let plain: Subjects;
let contracts: Contracts;
let anvil: Anvil;
const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-attacks-"));
beforeAll(async () => {
  anvil = await startAnvil({ dataDir, blockTimeSeconds: 0 });
  contracts = new Contracts(new VerifierChain(anvil.rpcUrl));
  subjects = await createSubjects(true);
  plain = await createSubjects(false);
});
afterAll(async () => {
  for (const subject of [...subjects.values(), ...plain.values()]) await subject.close();
  await anvil.stop();
  fs.rmSync(dataDir, { recursive: true });
});

const named = (list: readonly Attack[]): [string, Attack][] => list.map((attack) => [attack.name, attack]);

test("honest proofs are accepted, and nothing about them is false", async () => {
  for (const subject of [...subjects.values(), ...plain.values()]) {
    const proof = await subject.prove();
    expect(await verdict(subject, proof)).toBe("accepted");
    expect(await contracts.verdict(subject, proof)).toBe("accepted");
    expect(await falsehoods(subject, proof)).toEqual([]);
  }
});

/** Nothing ties the maximum of a padded sample to its logits; differences of logits must be in the table all the same. */
function paddedMaximum(): Alter {
  let largest = 0n;
  return on({
    "o.quotient": (z) => {
      largest = [0, 1, 2].map((k) => z[cell(PADDED, k)]!).reduce((a, b) => (a > b ? a : b));
    },
    "o.maximum": (values) => {
      values[PADDED] = largest;
    },
  });
}

/** Values where no relation looks: they change nothing, so they are no attacks. */
const HARMLESS: Record<string, Changes> = {
  "inputs of a padded sample": {
    inputs: ({ batch }) => void batch.fill(9n, cell(PADDED, 0), cell(PADDED, 0) + 1),
    alter: paddedMaximum(),
  },
  "rows behind the inputs": { inputs: ({ batch }) => void batch.fill(9n, 20, 32) },
  "cells behind the labels": { inputs: ({ batch }) => void batch.fill(9n, 48) },
  "digits in range between the columns": {
    alter: on({ ranged: (values) => void values.fill(9n, 336, 384) }),
  },
  "a witness of the opening that is not absorbed": { interference: { unabsorbed: new Set(["witness"]) } },
};

test.each(Object.entries(HARMLESS))("%s change nothing: accepted, with the same next weights", async (_, changes) => {
  const subject = subjects.get("step")!;
  const forgery = await subject.prove(changes);
  expect(await verdict(subject, forgery)).toBe("accepted");
  expect(await contracts.verdict(subject, forgery)).toBe("accepted");
  expect(forgery.header.idOut).toBe((await subject.prove()).header.idOut);
});

test("either class of a tie may be called the maximum: accepted, with the same next weights", async () => {
  const subject = subjects.get("step")!;
  const tie = ({ weights }: { weights: bigint[] }) => {
    for (let row = 0; row < 4; row++) weights[32 + 4 * row + 1] = weights[32 + 4 * row]!;
    for (const k of [0, 1]) weights[32 + 4 * 4 + k] = 1n << 16n;
  };
  const second = (top: bigint[]) => void ([top[cell(0, 0)], top[cell(0, 1)]] = [0n, 1n]);
  const [lowest, other] = [
    await subject.prove({ inputs: tie }),
    await subject.prove({ inputs: tie, alter: on({ "o.top": second }) }),
  ];
  for (const forgery of [lowest, other]) expect(await verdict(subject, forgery)).toBe("accepted");
  expect(other.proof).not.toEqual(lowest.proof);
  expect(other.header.idOut).toBe(lowest.header.idOut);
});

test("the contract takes one encoding of a call only", async () => {
  const subject = subjects.get("step")!;
  const { header, proof, ...rest } = await subject.prove();
  expect(await contracts.verdict(subject, { header, proof, ...rest })).toBe("accepted");
  const data = calldata(header, proof);
  const encodings = {
    "bytes behind the proof": concatBytes(data, new Uint8Array(32)),
    "a byte less": data.slice(0, -1),
    "another offset": withWord(data.subarray(4), 128, 192n),
    "another length": withWord(data.subarray(4), 160, BigInt(proof.length - 32)),
    "no arguments": data.slice(4, 4),
  };
  const chain = new VerifierChain(anvil.rpcUrl);
  for (const [name, own] of Object.entries(encodings)) {
    const whole = /another|no/.test(name) ? concatBytes(data.subarray(0, 4), own) : own;
    expect(await chain.call(HEADER.verifier, whole), name).not.toBe("accepted");
  }
});

/** npm test takes a sample; `npm run fuzz -- proof-attacks --count 1000` takes all, and leaves out each name for each. */
const every = <T>(step: number, list: readonly T[]): T[] => list.filter((_, i) => i % step === 0);

describe("TypeScript and Solidity refuse", () => {
  test.each(named(every(4, attacksOn(true))))("%s", (_, attack) => assertRefused(subjects, contracts, attack));
});

describe("TypeScript and Solidity refuse where nothing is hidden", () => {
  test.each(named(every(12, attacksOn(false))))("%s", (_, attack) => assertRefused(plain, contracts, attack));
});

test.each([true, false])("every relation and every check is needed against some attack: hiding %s", async (hiding) => {
  const needed = new Set(attacksOn(hiding).flatMap(({ without }) => without));
  const names = await everyName(hiding ? subjects : plain);
  expect([...names].filter((name) => !needed.has(name))).toEqual([]);
});

/** One attack for each relation and check. */
const pairs = [...new Set(attacksOn(true).flatMap(({ without }) => without))].map((name): [string, Attack] => [
  name,
  attacksOn(true).find(({ without }) => without.includes(name))!,
]);

describe("an attack passes without", () => {
  test.each(every(4, pairs))("%s", (name, attack) => assertPasses(subjects, undefined, attack, name));
});

describe("an attack passes the contract without", () => {
  test.each(every(20, pairs))("%s", (name, attack) => assertPasses(subjects, contracts, attack, name));
});
