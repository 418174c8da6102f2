// Compiles the AssemblyScript kernels: node packages/proof/build.ts
import fs from "node:fs";
import path from "node:path";
import { main } from "assemblyscript/asc";

const folder = import.meta.dirname;
const output = path.join(folder, "build", "kernels.wasm");

const { error, stderr } = await main(
  [
    "src/kernels/index.ts",
    "--outFile",
    "build/kernels.wasm",
    "--baseDir",
    folder,
    "-O3",
    "--noAssert",
    "--runtime",
    "stub",
    "--noExportMemory",
    "--importMemory",
    "--enable",
    "simd",
    "--enable",
    "bulk-memory",
  ],
  {
    writeFile: (name: string, contents: Uint8Array | string, baseDir: string) => {
      const file = path.join(baseDir, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      // A reader never sees half a file.
      fs.writeFileSync(`${file}.tmp`, contents);
      fs.renameSync(`${file}.tmp`, file);
    },
  },
);
if (error !== null) {
  console.error(stderr.toString());
  throw error;
}
console.log(`${path.relative(process.cwd(), output)}: ${fs.statSync(output).size} bytes`);
