import { Command } from "commander";

/** In the order of the help. A command's modules are loaded only when it is called. */
export const commands: Record<string, () => Promise<(program: Command) => void>> = {
  start: async () => (await import("./commands/start.ts")).addStart,
  devnet: async () => (await import("./commands/devnet.ts")).addDevnet,
  train: async () => (await import("./commands/train.ts")).addTrain,
  job: async () => (await import("./commands/job.ts")).addJob,
  worker: async () => (await import("./commands/worker.ts")).addWorker,
  data: async () => (await import("./commands/data.ts")).addData,
  model: async () => (await import("./commands/model.ts")).addModel,
  storage: async () => (await import("./commands/storage.ts")).addStorage,
  host: async () => (await import("./commands/host.ts")).addHost,
  earnings: async () => (await import("./commands/earnings.ts")).addEarnings,
  index: async () => (await import("./commands/index-command.ts")).addIndex,
  relay: async () => (await import("./commands/relay.ts")).addRelay,
  relays: async () => (await import("./commands/relays.ts")).addRelays,
  circuit: async () => (await import("./commands/circuit.ts")).addCircuit,
  verify: async () => (await import("./commands/verify.ts")).addVerify,
  infer: async () => (await import("./commands/infer.ts")).addInfer,
  wallet: async () => (await import("./commands/wallet.ts")).addWallet,
  identity: async () => (await import("./commands/identity.ts")).addIdentity,
  srs: async () => (await import("./commands/srs.ts")).addSrs,
  deploy: async () => (await import("./commands/deploy.ts")).addDeploy,
  doctor: async () => (await import("./commands/doctor.ts")).addDoctor,
};

/** The command line with these commands. */
export async function createProgram(names: readonly string[]): Promise<Command> {
  const program = new Command("skynet")
    .description("Train machine-learning models on computers that belong to different people, paid from escrow.")
    .version("0.1.0")
    .showHelpAfterError("(run with --help for the options)")
    .showSuggestionAfterError()
    // worker and earnings have options of the names of those of their subcommands
    .enablePositionalOptions()
    .exitOverride();
  for (const name of names) (await commands[name]!())(program);
  return program;
}
