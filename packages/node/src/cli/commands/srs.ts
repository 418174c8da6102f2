import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { checkOutput, writeOutput } from "@skynet/storage";
import {
  createDevelopmentString,
  decodeReferenceString,
  encodeReferenceString,
  importPtau,
  MOST_BLOCK_BITS,
  type PtauSource,
  type ReferenceString,
} from "@skynet/proof";
import { FileError, readInputFile } from "../../runtime/files.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { forceOption, integer, jsonOption, withUi, type ForceOption, type JsonOption } from "../options.ts";
import type { Ui } from "../ui.ts";

interface OutputOptions extends ForceOption, JsonOption {
  readonly size: number;
  readonly out: string;
}

interface CreateOptions extends OutputOptions {
  readonly random?: true;
}

/** Work that ends before this needs no progress bar. */
const QUIET_MS = 2000;

/** `skynet srs create|import|show`: the reference string that proofs are made and checked with. */
export function addSrs(program: Command): void {
  const srs = program.command("srs").description("make, import or show the reference string of the proofs");
  const sub = (name: string, description: string, example: string) =>
    srs
      .command(name)
      .description(description)
      .addOption(jsonOption())
      .addHelpText("after", `\nExample:\n  $ npx skynet srs ${example}`);
  const withOutput = (command: Command) =>
    command
      .requiredOption("--size <n>", `2^n points, n from 1 to ${MOST_BLOCK_BITS}`, integer(1, MOST_BLOCK_BITS))
      .requiredOption("--out <file>", "file to write")
      .addOption(forceOption());

  withOutput(sub("create", "make a string for development chains (insecure)", "create --size 14 --out dev.srs"))
    .option("--random", "from a random secret, instead of the public one that all development chains share")
    .action((options: CreateOptions) => withUi(options, (ui) => create(options, ui)));
  withOutput(sub("import", "take a string from a ceremony's .ptau file", "import pot14.ptau --size 14 --out main.srs"))
    .argument("<file>", "file of snarkjs for bn128, of a power of at least --size")
    .action((file: string, options: OutputOptions) => withUi(options, (ui) => importFile(file, options, ui)));
  sub("show", "check a string and show its hash, size and origin", "show main.srs")
    .argument("<file>", "file of srs create or srs import")
    .action((file: string, options: JsonOption) =>
      withUi(options, async (ui) =>
        describe(await decodeReferenceString(await readInputFile(file, "the reference string")), file, ui),
      ),
    );
}

async function create(options: CreateOptions, ui: Ui): Promise<Record<string, unknown>> {
  await checkOutput(path.resolve(options.out), { overwrite: options.force });
  const startedMs = performance.now();
  const string = await createDevelopmentString({
    blockBits: options.size,
    ...(options.random ? { tau: { random: randomBytes } } : {}),
    onProgress: (done, total) => {
      if (performance.now() - startedMs > QUIET_MS) ui.progress("powers of tau", done, total);
    },
    signal: shutdownSignal(),
  });
  return write(string, options, [], ui);
}

async function importFile(file: string, options: OutputOptions, ui: Ui): Promise<Record<string, unknown>> {
  const handle = await fs.open(file).catch((cause: unknown) => {
    throw new FileError("FileNotFound", `the .ptau file cannot be read: ${file}`, { hint: "check the path", cause });
  });
  try {
    await checkOutput(path.resolve(options.out), { overwrite: options.force, inputs: [file] });
    ui.status("reading and checking all powers");
    const source = await sourceOf(handle, file);
    const string = await importPtau(source, { blockBits: options.size, random: randomBytes, signal: shutdownSignal() });
    ui.status("");
    return await write(string, options, [file], ui);
  } finally {
    await handle.close();
  }
}

async function sourceOf(handle: fs.FileHandle, file: string): Promise<PtauSource> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw new FileError("FileNotFound", `not a file: ${file}`, { hint: "check the path" });
  return {
    size: stat.size,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await handle.read(bytes, 0, length, offset);
      if (bytesRead < length) throw new FileError("FileChanged", `${file} became shorter while it was read`);
      return bytes;
    },
  };
}

async function write(
  string: ReferenceString,
  { out, force }: OutputOptions,
  inputs: readonly string[],
  ui: Ui,
): Promise<Record<string, unknown>> {
  await writeOutput(path.resolve(out), encodeReferenceString(string), { overwrite: force, inputs });
  return describe(string, out, ui);
}

function describe(string: ReferenceString, file: string, ui: Ui): Record<string, unknown> {
  const { hash, blockBits, length, origin, insecure } = string;
  ui.line(`file    ${path.resolve(file)}`);
  ui.line(`hash    ${hash}`);
  ui.line(`size    2^${blockBits} = ${length} points`);
  ui.line(`origin  ${origin === "ptau" ? "ceremony (.ptau)" : "development"}`);
  ui.line(insecure ? "secure  no: its secret may be known; for development chains only" : "secure  if the ceremony is");
  return { file: path.resolve(file), hash, size: blockBits, points: length, origin, insecure };
}
