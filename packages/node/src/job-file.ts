import path from "node:path";
import { InvalidInputError, type Hex } from "@skynet/protocol";
import { datasetFileSchema } from "@skynet/storage";
import { requirementsSchema } from "@skynet/swarm";
import { parseUnits } from "viem";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { readDatasetFile, referenceFrom, withFolder } from "./data/dataset-file.ts";
import { readInputFile } from "./runtime/files.ts";
import { aliasIn, explainIssue } from "./yaml-file.ts";

/** Token amounts are decimal strings or numbers in whole tokens; the token's decimals are known only on the chain. */
const amount = z
  .union([z.string(), z.number()])
  .transform((value) => String(value))
  .refine(
    (value) => /^\d{1,15}(\.\d{1,18})?$/.test(value),
    "an amount is a decimal number of tokens, such as 10 or 0.5",
  );

/** A fixed price, or one that rises while the job waits for workers. */
const price = z
  .union([amount, z.strictObject({ from: amount, to: amount })], "an amount, or { from: amount, to: amount }")
  .transform((value) => (typeof value === "string" ? { from: value, to: value } : value));

const address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, "an address: 0x and 40 hexadecimal digits")
  .transform((text) => text.toLowerCase() as Hex);

const seconds = z
  .union([
    z.number().positive(),
    z.string().regex(/^\d+(\.\d+)?(s|m|h|d)$/, "a duration is a number and s, m, h or d, such as 90s"),
  ])
  .transform((value) => {
    if (typeof value === "number") return Math.ceil(value);
    const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[value.at(-1) as "s" | "m" | "h" | "d"];
    return Math.ceil(Number(value.slice(0, -1)) * unit);
  });

const count = (max: number) => z.number().int().min(1).max(max);

const jobFileSchema = z.strictObject({
  name: z.string().min(1).max(100),
  model: z.string().min(1),
  /** A dataset.yaml, a file, URL or CID of data, or what a dataset.yaml says. */
  data: datasetFileSchema,
  training: z
    .strictObject({
      batchSize: count(4096).default(128),
      learningRate: z.number().positive().max(64).default(0.5),
      localSteps: count(65_535).default(256),
      rounds: count(1024).default(4),
      seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(1),
    })
    .prefault({}),
  workers: z
    .strictObject({
      count: count(256).default(4),
      minimum: count(256).optional(),
      /** Requester: only workers that the requester's node admits can join. */
      admission: z.enum(["open", "requester"]).default("open"),
      /** Workers that are admitted; absent: all that meet the requirements. */
      allow: z.array(address).min(1).max(1024).optional(),
      /** Longest time in which a worker proves a step of the model on a batch of the requester's choice before it joins. */
      challenge: seconds.optional(),
    })
    .prefault({}),
  requirements: requirementsSchema.prefault({}),
  payment: z.strictObject({
    token: address.optional(),
    pricePerRound: price,
    stake: amount,
    missPenalty: amount.default("0"),
    mergeFee: amount.default("0"),
    deliveryPercent: z.number().min(0).max(100).default(20),
    holdPercent: z.number().min(0).max(100).default(5),
  }),
  verification: z
    .strictObject({
      /** Proof: every worker proves drawn steps on chain. Quorum: the workers vouch for each other. */
      mode: z.enum(["proof", "quorum"]).default("proof"),
      segment: count(4).default(4),
      auditSegments: count(16).default(1),
      auditPercent: z.number().min(0.01).max(100).multipleOf(0.01).default(100),
      beacon: z.enum(["blockhash", "test"]).default("blockhash"),
      /** Whether commitments and proofs hide weights and data; false is for development chains only. */
      zeroKnowledge: z.boolean().default(true),
      circuit: z
        .strictObject({
          blockBits: z.number().int().min(2).max(16).optional(),
          tableBits: z.number().int().min(3).max(16).optional(),
        })
        .prefault({}),
    })
    .prefault({}),
  windows: z
    .strictObject({
      join: seconds.default(120),
      ready: seconds.default(120),
      commit: seconds.default(120),
      draw: seconds.default(60),
      prove: seconds.default(120),
      merge: seconds.default(60),
      deliver: seconds.default(120),
    })
    .prefault({}),
  maxFailedRounds: count(16).default(3),
  /** Who pays the workers' gas: each its own, or this node for all of them. */
  gas: z.enum(["own", "sponsored"]).optional(),
});

/** A parsed JOB.yaml; file names are absolute, amounts in whole tokens, windows in seconds. */
export type JobFile = z.output<typeof jobFileSchema>;

/**
 * Reads and checks a JOB.yaml.
 * @throws FileError `FileNotFound`; InvalidInputError `BadJobFile` that names every wrong key and the nearest valid one
 */
export async function readJobFile(file: string): Promise<JobFile> {
  const text = new TextDecoder().decode(await readInputFile(file, "the job file"));
  const folder = path.dirname(path.resolve(file));
  const { job, dataFile } = parseJob(text, file);
  return {
    ...job,
    model: path.resolve(folder, job.model),
    data:
      dataFile === undefined ? withFolder(job.data, folder) : await readDatasetFile(referenceFrom(folder, dataFile)),
  };
}

/** Parses the text of a JOB.yaml; see {@link readJobFile}. */
export const parseJobFile = (text: string, file = "JOB.yaml"): JobFile => parseJob(text, file).job;

/** `dataFile`: the entry `data`, where it is a name. */
function parseJob(text: string, file: string): { job: JobFile; dataFile: string | undefined } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const syntax = document.errors[0];
  if (syntax) throw badJobFile(file, [syntax.message.split("\n")[0] ?? "not YAML"]);
  const alias = aliasIn(document, lines);
  if (alias !== undefined) throw badJobFile(file, [alias]);
  const value: unknown = document.toJS({ maxAliasCount: 0 });
  const data = (value as { data?: unknown } | null)?.data;
  const dataFile = typeof data === "string" ? data : undefined;
  const parsed = jobFileSchema.safeParse(
    dataFile === undefined ? value : { ...(value as object), data: { train: dataFile } },
  );
  if (!parsed.success)
    throw badJobFile(
      file,
      parsed.error.issues.flatMap((issue) => explainIssue(jobFileSchema, issue)),
    );
  const problems = contradictionsIn(parsed.data);
  if (problems.length > 0) throw badJobFile(file, problems);
  return { job: parsed.data, dataFile };
}

/** What no single value of the file shows. */
function contradictionsIn({ workers, payment, training, verification }: JobFile): string[] {
  const problems: string[] = [];
  if (workers.allow !== undefined && workers.admission === "open")
    problems.push("workers.allow: a list needs workers.admission: requester");
  if (workers.challenge !== undefined && (workers.admission === "open" || verification.mode === "quorum"))
    problems.push("workers.challenge: it needs workers.admission: requester, and verification.mode: proof");
  const { from, to } = payment.pricePerRound;
  if (parseUnits(from, 18) > parseUnits(to, 18)) problems.push("payment.pricePerRound: from is larger than to");
  if (workers.minimum !== undefined && workers.minimum > workers.count)
    problems.push("workers.minimum is larger than workers.count");
  if (verification.mode === "quorum") return problems;
  const { segment, auditSegments } = verification;
  const segments = training.localSteps / segment;
  if (!Number.isInteger(segments))
    problems.push(`verification.segment: ${training.localSteps} local steps do not divide into segments of ${segment}`);
  else if (segments % auditSegments !== 0)
    problems.push(`verification.auditSegments: ${segments} segments do not divide into ${auditSegments} equal parts`);
  return problems;
}

function badJobFile(file: string, problems: string[]): InvalidInputError {
  return new InvalidInputError("BadJobFile", `${file}:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`, {
    hint: "see examples/fashion-mnist/job.yaml for a complete job file",
  });
}
