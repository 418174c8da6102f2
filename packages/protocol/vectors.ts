// Writes the shared vectors of the job machine, from the seed in src/job/vectors.ts: node packages/protocol/vectors.ts
// The tests regenerate them and compare; the Solidity machine plays the same files.
import fs from "node:fs";
import path from "node:path";
import { formatVectors, makeJobVectors } from "./src/job/vectors.ts";

const folder = path.join(import.meta.dirname, "vectors", "job");
fs.mkdirSync(folder, { recursive: true });
for (const [name, vectors] of Object.entries(makeJobVectors()))
  fs.writeFileSync(path.join(folder, `${name}.json`), formatVectors(vectors));
