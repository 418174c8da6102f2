import module from "node:module";
import process from "node:process";
import { CommanderError } from "commander";
import { colours as pc } from "./colours.ts";
import { SkyNetError } from "@skynet/protocol";
import { Interrupted, wasInterrupted } from "../runtime/shutdown.ts";
import { commands, createProgram } from "./program.ts";
import { writeNote } from "./terminal.ts";
import { toJson } from "./ui.ts";

// Compiled code of the commands' modules is kept between runs: they begin in half the time.
module.enableCompileCache();

// A reader that has seen enough, such as head, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  throw error;
});

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

const called = process.argv[2] ?? "";
const program = await createProgram(called in commands ? [called] : Object.keys(commands));

/** Whether --json was given without a file. */
function printsJson(args: readonly string[]): boolean {
  const at = args.indexOf("--json");
  return at >= 0 && !(args[at + 1] ?? "").endsWith(".json");
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (wasInterrupted() || error instanceof Interrupted || (error as Error | undefined)?.name === "AbortError") {
    writeNote("interrupted");
    return EXIT_INTERRUPTED;
  }
  const known = error instanceof SkyNetError;
  if (printsJson(process.argv)) {
    const { code, hint } = known ? error : { code: "Unexpected", hint: undefined };
    process.stdout.write(`${toJson({ event: "error", code, message: (error as Error).message, hint })}\n`);
  }
  writeNote(`${pc.red("error:")} ${(error as Error).message}`);
  if (known && error.hint) writeNote(`${pc.dim("what to do:")} ${error.hint}`);
  if (!known || process.env.SKYNET_LOG_LEVEL === "debug") writeNote((error as Error).stack ?? "");
  return EXIT_FAILURE;
}

/**
 * The optional file of --json must not swallow the argument of a command. Where a command takes one, only a name that
 * ends in .json is that file; otherwise --json moves to the end, where nothing follows it.
 */
function separateJson(args: readonly string[]): string[] {
  const at = args.indexOf("--json");
  const next = args[at + 1];
  if (
    at < 0 ||
    ![
      "train",
      "job",
      "worker",
      "data",
      "model",
      "storage",
      "wallet",
      "identity",
      "srs",
      "circuit",
      "infer",
      "verify",
    ].includes(args[2] ?? "")
  )
    return [...args];
  if (next === undefined || next.startsWith("-") || next.endsWith(".json")) return [...args];
  return [...args.slice(0, at), ...args.slice(at + 1), "--json"];
}

try {
  await program.parseAsync(separateJson(process.argv));
  process.exitCode ??= 0;
} catch (error) {
  process.exitCode = report(error);
}
// Every command has closed what it opened; a library's idle socket must not keep the process alive.
if (process.channel) process.disconnect();
setTimeout(() => process.exit(), 500).unref();
