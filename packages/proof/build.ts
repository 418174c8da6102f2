// Compiles the AssemblyScript kernels: node packages/proof/build.ts
import fs from "node:fs";
import path from "node:path";
import { main } from "assemblyscript/asc";
import { fieldKernels } from "./field-kernels.ts";

const folder = import.meta.dirname;

/** A reader never sees half a file. */
function write(name: string, contents: Uint8Array | string): void {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.tmp`, contents);
  fs.renameSync(`${file}.tmp`, file);
}

/** Compiles one module; it imports its memory. */
async function compile(source: string, output: string): Promise<void> {
  const { error, stderr } = await main(
    [
      source,
      "--outFile",
      output,
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
    { writeFile: write },
  );
  if (error !== null) {
    console.error(stderr.toString());
    throw error;
  }
  console.log(`${output}: ${fs.statSync(path.join(folder, output)).size} bytes`);
}

write("build/field.ts", fieldKernels());
// Two modules: the executor uses all memory below its tensors, the proof's kernels have static data there.
await compile("src/kernels/index.ts", "build/kernels.wasm");
await compile("src/kernels/proof/index.ts", "build/proof.wasm");
