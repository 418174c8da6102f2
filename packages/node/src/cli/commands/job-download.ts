// `skynet job download` and `skynet model export`: a model of a job as an ONNX file.
import path from "node:path";
import { type Command, Option } from "commander";
import type { Chain } from "@skynet/contracts";
import { exportModel, readInferenceModel } from "@skynet/proof";
import type { Hex } from "@skynet/protocol";
import { checkOutput, writeOutput } from "@skynet/storage";
import { downloadModel, type DownloadedModel } from "../../artefacts/download.ts";
import { datasetMetadata, datasetOf } from "../../artefacts/dataset-metadata.ts";
import { openChain } from "../../runtime/chain.ts";
import { readInputFile } from "../../runtime/files.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { findJob, openConnection } from "../account.ts";
import { shortId } from "../format.ts";
import {
  addConnectionOptions,
  addListenOptions,
  addProofOptions,
  forceOption,
  homeDir,
  integer,
  listening,
  withUi,
  type ConnectionOptions,
  type ForceOption,
  type JsonOption,
  type ListenOptions,
  type ProofOptions,
} from "../options.ts";
import type { Ui } from "../ui.ts";

interface DownloadOptions extends ConnectionOptions, ForceOption, JsonOption, ListenOptions, ProofOptions {
  readonly data: string;
  readonly round?: number;
  readonly test?: string;
  readonly out?: string;
}

const LAST_ROUND = 65_535;

/** `skynet job download`. */
export function addDownload(job: Command): void {
  addDownloadOptions(
    job
      .command("download")
      .description("get the model of an own job: decrypt it, verify it against the chain, evaluate it once")
      .argument("<job>", "job id, or the first digits of one"),
  )
    .option("--out <file>", "where the ONNX file goes (default: in this folder, named after job and round)")
    .addHelpText(
      "after",
      "\nIt comes from this requester's folder, else from a worker of the job that is online. Nothing is written unless\nits id is the one on chain.\n\nExample:\n  $ npx skynet job download 0x3f2a --out model.onnx\n  $ npx skynet job download 0x3f2a --round 2 --test examples/iris/job.yaml",
    )
    .action((prefix: string, options: DownloadOptions) => withUi(options, (ui) => download(prefix, options, ui)));
}

/** `skynet model export`. */
export function addExport(model: Command): void {
  addDownloadOptions(
    model
      .command("export")
      .description("write a model as plain ONNX: of an own job, also after an earlier round, or of a file")
      .argument("<model>", "id of a job, or an ONNX file with weights: trained, bought, or from elsewhere"),
  )
    .addOption(new Option("--format <name>", "format of the file").choices(["onnx"]).default("onnx"))
    .requiredOption("--out <file>", "where it goes")
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet model export 0x3f2a --round 2 --out round-2.onnx\n  $ npx skynet model export bought/model.onnx --out plain.onnx",
    )
    .action((model: string, options: DownloadOptions & { readonly out: string }) =>
      withUi(options, (ui) =>
        /^0x[0-9a-f]+$/i.test(model) ? download(model, options, ui) : exportFile(model, options, ui),
      ),
    );
}

const addDownloadOptions = (command: Command): Command =>
  addConnectionOptions(
    addProofOptions(
      addListenOptions(
        command
          .option(
            "--round <n>",
            "the model after this round, 1 for the first (default: the last)",
            integer(1, LAST_ROUND),
          )
          .option("--test <job.yaml>", "evaluate on the test data of this job file (default: on a random sample)")
          .addOption(forceOption())
          .option("--data <folder>", "folder of the requester that posted the job", path.join(homeDir(), "requester")),
      ),
    ),
  );

async function download(prefix: string, options: DownloadOptions, ui: Ui): Promise<Record<string, unknown>> {
  const read = [options.test, options.srs, options.keystore, options.passphraseFile, options.data];
  const output = { overwrite: options.force, inputs: read.filter((file) => file !== undefined) };
  if (options.out !== undefined) await checkOutput(path.resolve(options.out), output);
  const connection = await openConnection(options, "Passphrase of the requester's wallet");
  const chain: Chain = await openChain(connection.rpcUrl, connection.privateKey);
  const found = await downloadModel({
    ...connection,
    jobId: await findJob(chain, prefix),
    round: options.round,
    job: options.test,
    dataDir: path.resolve(options.data),
    ...listening(options),
    threads: options.threads,
    referenceString: options.srs,
    signal: shutdownSignal(),
    ui,
  });
  const { onnx, ...rest } = found;
  const file = path.resolve(options.out ?? fileName(found));
  await writeOutput(file, onnx, output);
  ui.line(sourceText(found));
  ui.line(checkText(found));
  ui.line(
    `model of job ${shortId(found.jobId)} after round ${found.round} is the one on chain, ${found.modelId}: ${file}`,
  );
  return { ...rest, file };
}

const fileName = ({ jobId, round }: { jobId: Hex; round: number }) => `${jobId.slice(0, 10)}-round-${round}.onnx`;

const sourceText = ({ source }: DownloadedModel) =>
  source === "here" ? "decrypted from this folder" : `fetched from worker ${source} and decrypted`;

function checkText({ check }: DownloadedModel): string {
  const loss = `loss ${check.loss.toFixed(4)}`;
  const percent = `${(100 * check.accuracy).toFixed(2)} %`;
  return check.on === "test"
    ? `evaluated on ${check.samples.toLocaleString("en")} test samples: accuracy ${percent}, ${loss}`
    : `evaluated on ${check.samples} random inputs with random classes: accuracy ${percent}, ${loss}; --test names a job file with test data`;
}

/** Reads the weights and writes them as standard operators; what the file says of its data stays. */
async function exportFile(
  file: string,
  { out, force }: ForceOption & { readonly out: string },
  ui: Ui,
): Promise<Record<string, unknown>> {
  const bytes = await readInputFile(file, "the model");
  const { program, weights, exact } = readInferenceModel(bytes);
  const schema = datasetOf(bytes);
  const target = path.resolve(out);
  const model = exportModel(program, weights, schema ? datasetMetadata(schema) : {});
  await writeOutput(target, model, { overwrite: force, inputs: [file] });
  if (!exact) ui.line("the weights were rounded from floating point");
  ui.line(`written as ONNX of standard operators: ${target}`);
  return { file: target, exact };
}
