// npm run bench -- gas: measures every external function on a development chain and writes docs/gas.md.
import fs from "node:fs";
import path from "node:path";
import { GAS_LIMIT, gasTable, measureGas } from "../../packages/contracts/src/gas/index.ts";

const file = path.join(import.meta.dirname, "..", "..", "docs", "gas.md");

const introduction = `# Gas

Written by \`npm run bench -- gas\`; a test measures again and refuses numbers that differ by more than 5 %.

Each number is what one transaction used on a development chain (anvil, Prague rules): the base price of 21,000 and the calldata are included, refunds are taken off. "No verifier" means a verifier that says yes at once: add the gas of the real one, about 0.9 million for a training step ([benchmarks](benchmarks.md)). The caps are 256 seats, 1,024 points (seats × blocks of weights), 1,024 rounds and 4 steps in a segment. No function may need more than ${GAS_LIMIT.toLocaleString("en")} at these caps; a batch of joins or commits is as large as its sender makes it, and 64 joins or 128 commits in one transaction stay below. On Scroll the fee for data on the main chain comes on top and is not gas.
`;

/** Writes the table and returns it. */
export async function run(): Promise<unknown> {
  const rows = await measureGas();
  fs.writeFileSync(file, `${introduction}\n${gasTable(rows)}\n`);
  return { rows: rows.map(({ gas, ...row }) => ({ ...row, gas: Number(gas) })) };
}
