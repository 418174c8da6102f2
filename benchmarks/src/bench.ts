// npm run bench -- NAME [--json FILE]: each benchmark is one file of this folder that exports `run`.
import fs from "node:fs";
import { parseArgs } from "node:util";

const names = fs
  .readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && !["bench.ts", "fuzz.ts"].includes(file))
  .map((file) => file.slice(0, -3));

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "string" } } });
const name = positionals[0];
if (name === undefined || !names.includes(name)) {
  console.error(`usage: npm run bench -- NAME [--json FILE]\nbenchmarks: ${names.join(", ")}`);
  process.exit(2);
}
const { run } = (await import(`./${name}.ts`)) as { run: () => Promise<unknown> };
const result = await run();
console.log(JSON.stringify(result, null, 2));
if (values.json !== undefined) fs.writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
