import path from "node:path";
import { type Command, Option } from "commander";
import {
  type Circuit,
  createExecutor,
  createProofSystem,
  generateVerifier,
  type InferenceModel,
  inferenceCircuit,
  type ProofSystem,
  readInferenceModel,
  type StatementHeader,
} from "@skynet/proof";
import { checkOutput, writeOutput, type DatasetSchema, type OutputOptions } from "@skynet/storage";
import { cleanText, fromHex, InvalidInputError, keccak256, toHex, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { datasetOf } from "../../artefacts/dataset-metadata.ts";
import { commitToModel } from "../../market/answers.ts";
import { parseJson, readSample } from "../../market/sample.ts";
import { readInputFile } from "../../runtime/files.ts";
import { loadReferenceString } from "../../trainer/reference-string.ts";
import { runAnswerOrder, type Answer } from "../../roles/order-answer.ts";
import { forceOption, integer, withUi, type ForceOption } from "../options.ts";
import { addBuyerOptions, buyerNode, type BuyerOptions } from "../shop.ts";
import { openReader } from "../account.ts";
import { findSale } from "./listing-actions.ts";
import { toJson, type Ui } from "../ui.ts";
import { compileVerifierOnce } from "../../runtime/compiled-verifiers.ts";

interface InferOptions extends BuyerOptions, ForceOption {
  readonly input?: string;
  readonly index: number;
  readonly inputMode: "public" | "committed";
  readonly outputMode: "public" | "committed";
  readonly out?: string;
  readonly check?: string;
}

const DEFAULT_THREADS = 2;
/** Characters of the name of a class; whoever made the model wrote it. */
const MAX_SHOWN = 80;

/** Proofs that are checked on this machine are about no chain; the string of development chains will do. */
const LOCAL_CHAIN = 31337;
const NO_VERIFIER: Hex = `0x${"00".repeat(20)}`;
const LOCAL_CONTEXT: Hex = toHex(keccak256(new TextEncoder().encode("skynet/1/local-inference")));

const hex = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`))
    .transform((text) => text as Hex);
const proofSchema = z.strictObject({
  version: z.literal(1),
  statement: z.strictObject({
    chainId: z.int(),
    verifier: hex(20),
    context: hex(32),
    idIn: hex(32),
    idOut: hex(32),
    idData: hex(32),
  }),
  inputMode: z.enum(["public", "committed"]),
  outputMode: z.enum(["public", "committed"]),
  proof: z.string().regex(/^0x([0-9a-f]{2})+$/),
});

/** `skynet infer`: runs a model on one sample and proves the result, checks such a proof, or buys a proven answer. */
export function addInfer(program: Command): void {
  const mode = (flags: string, what: string, fallback: string) =>
    new Option(flags, `${what} in the proof, or behind a commitment`)
      .choices(["public", "committed"])
      .default(fallback);
  const command = program
    .command("infer")
    .description("run a model on one sample, prove the result and check the proof; or buy the answer of a host")
    .argument("<model>", "ONNX file with its weights, or the id of an offer: see model list --answers")
    .option(
      "--input <file>",
      "sample: JSON array of numbers as the model takes them, or any file of data: CSV, NumPy, IDX, images; raw values (also a JSON object) where a job on a table trained the model",
    )
    .option("--index <n>", "which row or image of a file of data, from 0", integer(0, 2 ** 31 - 1), 0)
    .addOption(mode("--input-mode <mode>", "the input", "committed"))
    .addOption(mode("--output-mode <mode>", "the logits", "public"))
    .option("--out <file>", "where the proof goes, as JSON")
    .addOption(forceOption())
    .option("--check <file>", "check this proof instead of making one");
  addBuyerOptions(command)
    .addHelpText(
      "after",
      `
Example:
  $ npx skynet infer model.onnx --input examples/fashion-mnist/t10k-images-idx3-ubyte.gz --index 7 --out proof.json
  $ npx skynet infer model.onnx --check proof.json
  $ npx skynet infer 0x3f2a --input sample.json --max-price 0.1   # of a host, paid when its proof is right`,
    )
    .action((file: string, options: InferOptions) =>
      withUi(options, async (ui) => {
        if (/^0x[0-9a-f]+$/i.test(file)) return buyAnswer(file, options, ui);
        const bytes = await readInputFile(file, "the model");
        const model = readInferenceModel(bytes);
        const read = [file, options.input, options.srs].filter((each) => each !== undefined);
        const output = { overwrite: options.force, inputs: read };
        return options.check === undefined
          ? infer(model, datasetOf(bytes), options, output, ui)
          : check(model, options, options.check, ui);
      }),
    );
}

async function buyAnswer(prefix: string, options: InferOptions, ui: Ui): Promise<Answer> {
  if (options.input === undefined)
    throw new InvalidInputError("NoInput", "no sample is given", { hint: "Name it with --input FILE." });
  const { listing, offer } = await findSale(await openReader(options), "model", prefix);
  if (offer === undefined)
    throw new InvalidInputError("WrongKind", `"${listing!.name}" sells the model itself, not its answers`, {
      hint: `use npx skynet model buy ${prefix}`,
    });
  const { input, index } = options;
  const answer = await runAnswerOrder({ ...(await buyerNode(options)), offerId: offer.offerId, input, index, ui });
  ui.line(`class ${answer.class}, logits ${answer.logits.map((value) => value.toFixed(2)).join(" ")}`);
  ui.line("the contract has verified the proof and paid the host");
  return answer;
}

async function open(circuit: Circuit, options: InferOptions): Promise<ProofSystem> {
  const srs = await loadReferenceString(options.srs, circuit.settings.blockBits, LOCAL_CHAIN);
  return createProofSystem(circuit, srs, { threads: options.threads ?? DEFAULT_THREADS });
}

async function infer(
  model: InferenceModel,
  schema: DatasetSchema | undefined,
  options: InferOptions,
  output: OutputOptions,
  ui: Ui,
): Promise<Record<string, unknown>> {
  const { program, weights } = model;
  if (options.input === undefined)
    throw new InvalidInputError("NoInput", "no sample is given", {
      hint: "Name it with --input FILE, or a proof with --check.",
    });
  if (options.out !== undefined) await checkOutput(path.resolve(options.out), output);
  const x = await readSample(program, options.input, options.index, schema);
  const circuit = inferenceCircuit(program, 1, { input: options.inputMode, output: options.outputMode });
  const steps = 4;
  ui.progress("Preparing", 0, steps);
  const system = await open(circuit, options);
  try {
    ui.progress("Committing to the weights", 1, steps);
    const executor = await createExecutor(program);
    executor.load(weights);
    const commitment = await commitToModel(system, weights);
    const startedMs = performance.now();
    const header = { chainId: LOCAL_CHAIN, verifier: NO_VERIFIER, context: LOCAL_CONTEXT };
    const { statement, proof, logits } = await system.proveInference(
      header,
      { weights, commitment, x, trace: executor.trace(x, 1) },
      { onProgress: (share) => ui.progress("Proving", Math.round((1 + 2 * share) * 100), steps * 100) },
    );
    const proveMs = performance.now() - startedMs;
    ui.progress("Checked", steps, steps);
    const top = logits.indexOf(Math.max(...logits));
    const values = Array.from(logits, (value) => value / 2 ** program.loss.logitScale);
    if (!model.exact) ui.line("the weights were rounded from floating point");
    const named = schema?.target.classes[top];
    const shown = named === undefined || named === String(top) ? "" : ` (${cleanText(named, MAX_SHOWN)})`;
    ui.line(`class ${top}${shown}, logits ${values.map((value) => value.toFixed(2)).join(" ")}`);
    ui.line(`proven in ${(proveMs / 1000).toFixed(2)} s and checked: ${proof.length} bytes`);
    const document = {
      version: 1,
      statement,
      inputMode: options.inputMode,
      outputMode: options.outputMode,
      proof: toHex(proof),
    };
    if (options.out !== undefined) {
      await writeOutput(path.resolve(options.out), `${toJson(document, 2)}\n`, output);
      ui.line(`proof written to ${options.out}`);
    }
    return { class: top, logits: values, proveMs, proofBytes: proof.length, modelId: statement.idIn, ...statement };
  } finally {
    await system.close();
  }
}

async function check(
  model: InferenceModel,
  options: InferOptions,
  file: string,
  ui: Ui,
): Promise<Record<string, unknown>> {
  const parsed = proofSchema.safeParse(parseJson(await readInputFile(file, "the proof")));
  if (!parsed.success)
    throw new InvalidInputError("BadProofFile", `${file} is not a proof of skynet infer`, {
      hint: "Make one with --out FILE.",
    });
  const { statement, inputMode, outputMode, proof } = parsed.data;
  const system = await open(inferenceCircuit(model.program, 1, { input: inputMode, output: outputMode }), options);
  try {
    const modelId = system.weightsId((await commitToModel(system, model.weights)).points);
    if (modelId !== statement.idIn)
      throw new InvalidInputError("WrongModel", "the proof is about another model", {
        hint: "Check it with the model that it was made with.",
      });
    const startedMs = performance.now();
    await system.verify(statement as StatementHeader, fromHex(proof));
    const verifyMs = performance.now() - startedMs;
    const { runtime } = await compileVerifierOnce((await generateVerifier(system.key)).source);
    ui.line(
      `the proof is valid (${verifyMs.toFixed(0)} ms); its verifier contract has ${(runtime.length - 2) / 2} bytes`,
    );
    return { valid: true, verifyMs, ...statement };
  } finally {
    await system.close();
  }
}
