import { findJob, openReader } from "../account.ts";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { getContent, openBlockStore } from "@skynet/storage";
import { SkyNetError } from "@skynet/protocol";
import { readInputFile } from "../../runtime/files.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { verifyJob, type VerifiedJob } from "../../verify-job/verify-job.ts";
import { shortId } from "../format.ts";
import {
  addChainOptions,
  devnetDir,
  homeDir,
  integer,
  withUi,
  type ConnectionOptions,
  type JsonOption,
} from "../options.ts";
import type { Ui } from "../ui.ts";

interface VerifyOptions extends ConnectionOptions, JsonOption {
  readonly model?: string;
  readonly srs?: string;
  readonly threads: number;
}

/** `skynet verify`: the independent check of a job. */
export function addVerify(program: Command): void {
  addChainOptions(
    program
      .command("verify")
      .description(
        "recompute from the chain that every ended round of a job was drawn, proven, paid and merged correctly",
      ),
  )
    .argument("<job>", "job id, or the first digits of one")
    .option("--model <file>", "the job's ONNX file (default: looked for in the blocks on this machine)")
    .option("--srs <file>", "reference string (default: the one of development chains)")
    .option("--threads <n>", "threads that compute", integer(1, 64), 2)
    .addHelpText(
      "after",
      "\nEverything is computed again on this machine. One thing is trusted: that the RPC shows the chain's blocks and logs,\nand the contract's state; use an endpoint that you trust, or your own node.",
    )
    .addHelpText("after", "\nExample:\n  $ npx skynet verify 0x3f2a --model examples/fashion-mnist/mlp.onnx")
    .action((prefix: string, options: VerifyOptions) => withUi(options, (ui) => verify(prefix, options, ui)));
}

async function verify(prefix: string, options: VerifyOptions, ui: Ui): Promise<VerifiedJob> {
  const chain = await openReader(options);
  const jobId = await findJob(chain, prefix);
  const { model, srs, threads } = options;
  const result = await verifyJob({
    chain,
    jobId,
    model: (cid) => (model === undefined ? findModel(cid) : readInputFile(model, "the model")),
    threads,
    ...(srs === undefined ? {} : { srs }),
    signal: shutdownSignal(),
    onProgress: (label, done, total) => ui.progress(label, done, total),
  });
  for (const { round, committed, drawn, proofs, paid, paidDrawn, merged } of result.rounds)
    ui.line(
      `round ${round + 1}: ${committed} committed, ${drawn} drawn, ${proofs} proofs verified, ${paid} paid (${paidDrawn} of them drawn), ${merged ? "average recomputed" : "not merged"}`,
    );
  const { settled, phase, outcome, rounds, proofs, modelId } = result;
  ui.line(
    settled
      ? `job ${shortId(jobId)} is verified: it ended as ${outcome} after ${rounds.length} rounds, ${proofs} proofs, final model ${modelId}`
      : `verified so far: ${rounds.length} rounds of job ${shortId(jobId)}, which is in phase ${phase}: ${proofs} proofs, present model ${modelId}`,
  );
  return result;
}

/** Folders of this machine's nodes: those with a folder of their own, those of the devnet and those of kept runs. */
async function blockFolders(): Promise<string[]> {
  const home = homeDir();
  const runs = path.join(home, "runs");
  const networks = [home, devnetDir(), ...(await subfolders(runs))];
  const nodes = (await Promise.all(networks.map(subfolders))).flat();
  return nodes.map((folder) => path.join(folder, "blocks"));
}

async function subfolders(folder: string): Promise<string[]> {
  const entries = await fs.readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name));
}

/** A block has the same bytes wherever it lies: its hash is its name. */
async function findModel(cid: string): Promise<Uint8Array> {
  for (const folder of await blockFolders()) {
    if (!existsSync(folder)) continue;
    const store = await openBlockStore(folder);
    const bytes = await getContent(store, cid).finally(() => store.close());
    if (bytes !== undefined) return bytes;
  }
  throw new SkyNetError("NoModel", "the job's model is not on this machine", {
    hint: "Name the ONNX file of the job with --model.",
  });
}
