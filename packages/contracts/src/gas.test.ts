import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { externalFunctions, GAS_LIMIT, gasTable, measureGas } from "./gas/index.ts";
import type { GasRow } from "./gas/index.ts";

const document = path.join(import.meta.dirname, "..", "..", "..", "docs", "gas.md");

/** Numbers differ a little from run to run: zero bytes of signatures are cheaper, and draws are random. */
const TOLERANCE = 0.05;

test("no function needs ten million gas at the caps of the specification, and docs/gas.md says what each needs", async () => {
  const rows = await measureGas();
  const measured = new Set(rows.map(({ contract, functionName }) => `${contract}.${functionName}`));
  expect([...measured].toSorted()).toEqual(externalFunctions().toSorted());
  for (const { contract, functionName, situation, gas } of rows)
    expect(gas, `${contract}.${functionName} ${situation}`).toBeLessThan(GAS_LIMIT);

  const known = readTable(fs.readFileSync(document, "utf8"));
  const label = ({ contract, functionName, situation }: GasRow) => `\`${contract}.${functionName}\` | ${situation}`;
  const stale = rows.filter((row) => {
    const written = known.get(label(row));
    return written === undefined || Math.abs(Number(row.gas) / written - 1) > TOLERANCE;
  });
  expect(gasTable(stale), "docs/gas.md is old: npm run bench -- gas").toBe(gasTable([]));
}, 300_000);

function readTable(text: string): Map<string, number> {
  const lines = text.matchAll(/^\| (`[\w.]+` \| [^|]*) \| ([\d,]+) \|$/gm);
  return new Map([...lines].map(([, label, gas]) => [label!.trim(), Number(gas!.replaceAll(",", ""))]));
}
