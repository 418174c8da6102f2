import module from "node:module";
import process from "node:process";
import { Command, CommanderError } from "commander";
import { colours as pc } from "./colours.ts";
import { SkyNetError } from "@skynet/protocol";
import { Interrupted, wasInterrupted } from "../runtime/shutdown.ts";
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

const program = new Command("skynet")
  .description("Train machine-learning models on computers that belong to different people, paid from escrow.")
  .version("0.1.0")
  .showHelpAfterError("(run with --help for the options)")
  .showSuggestionAfterError()
  // Otherwise the options of `worker status` would be taken for those of `worker`.
  .enablePositionalOptions()
  .exitOverride();

/** In the order of the help. A command's modules are loaded only when it is called. */
const commands: Record<string, () => Promise<(program: Command) => void>> = {
  start: async () => (await import("./commands/start.ts")).addStart,
  devnet: async () => (await import("./commands/devnet.ts")).addDevnet,
  train: async () => (await import("./commands/train.ts")).addTrain,
  job: async () => (await import("./commands/job.ts")).addJob,
  worker: async () => (await import("./commands/worker.ts")).addWorker,
  data: async () => (await import("./commands/data.ts")).addData,
  model: async () => (await import("./commands/model.ts")).addModel,
  host: async () => (await import("./commands/host.ts")).addHost,
  earnings: async () => (await import("./commands/earnings.ts")).addEarnings,
  index: async () => (await import("./commands/index-command.ts")).addIndex,
  relay: async () => (await import("./commands/relay.ts")).addRelay,
  circuit: async () => (await import("./commands/circuit.ts")).addCircuit,
  verify: async () => (await import("./commands/verify.ts")).addVerify,
  infer: async () => (await import("./commands/infer.ts")).addInfer,
  wallet: async () => (await import("./commands/wallet.ts")).addWallet,
  srs: async () => (await import("./commands/srs.ts")).addSrs,
  deploy: async () => (await import("./commands/deploy.ts")).addDeploy,
  doctor: async () => (await import("./commands/doctor.ts")).addDoctor,
};
const called = commands[process.argv[2] ?? ""];
for (const load of called ? [called] : Object.values(commands)) (await load())(program);

/** Whether --json was given without a file. */
function printsJson(args: readonly string[]): boolean {
  const at = args.indexOf("--json");
  return at >= 0 && !(args[at + 1] ?? "").endsWith(".json");
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (wasInterrupted() || error instanceof Interrupted || (error as Error | undefined)?.name === "AbortError") {
    process.stderr.write("interrupted\n");
    return EXIT_INTERRUPTED;
  }
  const known = error instanceof SkyNetError;
  if (printsJson(process.argv)) {
    const { code, hint } = known ? error : { code: "Unexpected", hint: undefined };
    process.stdout.write(`${toJson({ event: "error", code, message: (error as Error).message, hint })}\n`);
  }
  process.stderr.write(`${pc.red("error:")} ${(error as Error).message}\n`);
  if (known && error.hint) process.stderr.write(`${pc.dim("what to do:")} ${error.hint}\n`);
  if (!known || process.env.SKYNET_LOG_LEVEL === "debug") process.stderr.write(`${(error as Error).stack ?? ""}\n`);
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
    !["train", "job", "worker", "data", "model", "wallet", "srs", "circuit", "infer", "verify"].includes(args[2] ?? "")
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
