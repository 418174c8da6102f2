import { type Command, InvalidArgumentError } from "commander";
import { parseModel } from "@skynet/onnx";
import { type CircuitReport, compileTraining, inferenceCircuit, reportCircuit, stepCircuit } from "@skynet/proof";
import { readInputFile } from "../../runtime/files.ts";
import { integer, jsonOption, withUi, type JsonOption } from "../options.ts";
import type { Ui } from "../ui.ts";

interface CircuitOptions extends JsonOption {
  readonly batch: number;
  readonly learningRate: number;
  readonly workers: number;
  readonly inference?: true;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1024)) throw new InvalidArgumentError("a number above 0 is needed, such as 0.5");
  return value;
}

/** `skynet circuit`: what a proof of this model shows, and what it costs. */
export function addCircuit(program: Command): void {
  program
    .command("circuit")
    .description("relations, size and cost of the proofs of a model; names what is not supported")
    .argument("<model>", "ONNX file of a multi-layer perceptron")
    .option("--batch <n>", "samples per step, or per inference", integer(1, 4096), 32)
    .option("--learning-rate <x>", "batch / learning rate must be a power of two", positive, 0.125)
    .option("--workers <n>", "nominal number of workers, a power of two", integer(1, 1024), 4)
    .option("--inference", "the statement of an inference instead of a training step")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet circuit examples/fashion-mnist/mlp.onnx --batch 128 --learning-rate 0.5",
    )
    .action((file: string, options: CircuitOptions) => withUi(options, (ui) => describe(file, options, ui)));
}

async function describe(file: string, options: CircuitOptions, ui: Ui): Promise<CircuitReport> {
  const graph = parseModel(await readInputFile(file, "the model"));
  const { batch, learningRate, workers } = options;
  const settings = options.inference
    ? { batchSize: 256, learningRate: 1, workers: 1 }
    : { batchSize: batch, learningRate, workers };
  const integers = compileTraining(graph, settings);
  const report = reportCircuit(options.inference ? inferenceCircuit(integers, batch) : stepCircuit(integers));
  for (const line of reportLines(report)) ui.line(line);
  return report;
}

const thousands = (value: number): string => value.toLocaleString("en-US");

/** The report as text. */
function reportLines(report: CircuitReport): string[] {
  const { relations, tensors, widths } = report;
  const row = (name: string, text: string) => `  ${name.padEnd(22)} ${text}`;
  return [
    `${report.statement === "step" ? "one training step" : "inference"} of ${report.model}, batch ${report.batch}: ${thousands(report.params)} weights`,
    "",
    "relations",
    ...relations
      .filter(({ names }) => names.length > 0)
      .map(({ kind, names }) => row(`${names.length} ${kind}`, names.join(", "))),
    row("enforced digits", widths.map(({ name, bits }) => `${name} ${bits} bits`).join(", ")),
    "",
    "commitments",
    ...tensors.map(({ name, cells, points }) =>
      row(name, `${thousands(cells)} cells in ${points} point${points === 1 ? "" : "s"}`),
    ),
    row("committed per proof", `${thousands(report.committedCells)} cells, ${thousands(report.lookups)} lookups`),
    row("zero knowledge", `yes, ${report.hiddenScalars} scalars of a proof are padded`),
    "",
    "cost",
    row("proof", `${thousands(report.proofBytes)} bytes`),
    row("gas", `about ${thousands(Math.round(report.estimatedGas / 1000))},000 with calldata (estimate)`),
    row(
      "proving",
      `about ${report.estimatedProveSeconds.toFixed(1)} s on one core (estimate; npm run bench -- proof measures)`,
    ),
    row("reference string", `2^${report.blockBits} points`),
  ];
}
