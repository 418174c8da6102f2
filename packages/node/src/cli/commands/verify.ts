import fs from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { openBlockStore } from "@skynet/storage";
import { decodeMetadata } from "@skynet/swarm";
import { SkyNetError } from "@skynet/protocol";
import { readInputFile } from "../../runtime/files.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { verifyJob, type VerifiedJob } from "../../verify-job/verify-job.ts";
import { shortId } from "../format.ts";
import { addChainOptions, homeDir, integer, withUi, type ConnectionOptions, type JsonOption } from "../options.ts";
import type { Ui } from "../ui.ts";
import { findJob, openReader } from "./job.ts";

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
      .description("recompute from the chain that every paid round of a job was drawn, proven and merged correctly"),
  )
    .argument("<job>", "job id, or the first digits of one")
    .option("--model <file>", "the job's ONNX file (default: looked for in the blocks on this machine)")
    .option("--srs <file>", "reference string (default: the one of development chains)")
    .option("--threads <n>", "threads that compute", integer(1, 64), 2)
    .addHelpText("after", "\nExample:\n  $ npx skynet verify 0x3f2a --model examples/fashion-mnist/mlp.onnx")
    .action((prefix: string, options: VerifyOptions) => withUi(options, (ui) => verify(prefix, options, ui)));
}

async function verify(prefix: string, options: VerifyOptions, ui: Ui): Promise<VerifiedJob> {
  const chain = await openReader(options);
  const jobId = await findJob(chain, prefix);
  const metadata = decodeMetadata(await chain.meta(jobId));
  const model =
    options.model === undefined ? await findModel(metadata.modelCid) : await readInputFile(options.model, "the model");
  const result = await verifyJob({
    chain,
    jobId,
    metadata,
    model,
    threads: options.threads,
    ...(options.srs === undefined ? {} : { srs: options.srs }),
    signal: shutdownSignal(),
    onProgress: (label, done, total) => ui.progress(label, done, total),
  });
  for (const { round, committed, drawn, proofs, paid, merged } of result.rounds)
    ui.line(
      `round ${round + 1}: ${committed} committed, ${drawn} drawn, ${proofs} proofs verified, ${paid} paid, ${merged ? "average recomputed" : "not merged"}`,
    );
  ui.line(`job ${shortId(jobId)} is verified: ${result.proofs} proofs, final model ${result.modelId}`);
  return result;
}

/** A block has the same bytes wherever it lies: its hash is its name. */
async function findModel(cid: string): Promise<Uint8Array> {
  const home = homeDir();
  const entries = await fs.readdir(home, { recursive: true, withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory() && entry.name === "blocks");
  for (const { parentPath, name } of folders) {
    const bytes = await (await openBlockStore(path.join(parentPath, name))).get(cid);
    if (bytes !== undefined) return bytes;
  }
  throw new SkyNetError("NoModel", "the job's model is not on this machine", {
    hint: "Name the ONNX file of the job with --model.",
  });
}
