// What sellers publish about their listings, in the event of the listing. Strangers write it, so it is parsed strictly.
import { z } from "zod";
import { keccak256, toHex, word, type Hex } from "./bytes.ts";
import { decode, encode } from "./encoding.ts";
import { InvalidInputError } from "./errors.ts";

/** Numbers of the contract's field `licence`; the order is part of the protocol. */
export const LICENCES = [
  "unspecified",
  "MIT",
  "Apache-2.0",
  "BSD-3-Clause",
  "GPL-3.0",
  "CC0-1.0",
  "CC-BY-4.0",
  "CC-BY-SA-4.0",
  "CC-BY-NC-4.0",
  "proprietary",
] as const;
export type Licence = (typeof LICENCES)[number];

export const licenceName = (number: number): Licence | `licence ${number}` => LICENCES[number] ?? `licence ${number}`;

const MAX_WEIGHTS = 2 ** 24;
const size = z.int().min(1).max(1_048_576);
const scale = z.int().min(0).max(30);

/**
 * A multi-layer perceptron without its weights: all that is needed to generate the circuit of its inferences. `sizes`:
 * features, outputs of each hidden layer, classes.
 */
const architectureSchema = z
  .strictObject({
    sizes: z.array(size).min(2).max(64),
    batchSize: z.int().min(1).max(4096),
    learningRate: z.number().positive(),
    workers: z.int().min(1).max(1024),
    scales: z.strictObject({
      input: scale,
      activation: scale,
      logit: scale,
      exponential: scale,
      probability: scale,
      gradient: scale,
    }),
    widths: z.strictObject({ input: scale, activation: scale, logit: scale, gradient: scale }),
    /** How bytes become inputs; null when the model does not say. */
    normalisation: z.strictObject({ offset: z.number(), divisor: z.number() }).nullable(),
    softmaxOutput: z.boolean(),
  })
  .refine(
    ({ sizes }) => sizes.slice(1).reduce((sum, out, i) => sum + (sizes[i]! + 1) * out, 0) <= MAX_WEIGHTS,
    `more than ${MAX_WEIGHTS} weights`,
  );
export type Architecture = z.output<typeof architectureSchema>;

const key = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === 32, "not 32 bytes");
const common = {
  version: z.literal(1),
  name: z.string().min(1).max(100),
  description: z.string().max(2000),
  /** Of free listings: what opens the content. */
  key: key.optional(),
  /** Encrypted size of the whole content, as the seller says. */
  bytes: z.int().min(0),
};

const cid = z.string().regex(/^[a-z2-7]{50,100}$/i, "not a CID");

const dataSchema = z.strictObject({
  ...common,
  kind: z.literal("data"),
  /** CID of the data card: a public block, see `parseCard`. */
  card: cid.optional(),
  samples: z
    .int()
    .min(1)
    .max(2 ** 31),
  /** Shape of one sample. */
  shape: z.array(size).min(1).max(3),
  classes: z.int().min(2).max(256),
  batchSize: z.int().min(1).max(65_536),
});

const modelSchema = z.strictObject({ ...common, kind: z.literal("model"), architecture: architectureSchema });

const answersSchema = z.strictObject({
  version: z.literal(1),
  kind: z.literal("answers"),
  name: common.name,
  description: common.description,
  architecture: architectureSchema,
});

const marketSchema = z.discriminatedUnion("kind", [dataSchema, modelSchema, answersSchema]);

export type DataMetadata = z.output<typeof dataSchema>;
export type ModelMetadata = z.output<typeof modelSchema>;
/** Of an offer to run a model for money. */
export type AnswersMetadata = z.output<typeof answersSchema>;
/** What a listing or an offer says of itself; its hash is not on chain, so whatever matters is checked otherwise. */
export type MarketMetadata = z.output<typeof marketSchema>;

/** Most bytes that the contracts publish. */
export const MAX_METADATA_BYTES = 4096;

/** @throws InvalidInputError `BadMetadata` */
export function encodeMarketMetadata(metadata: MarketMetadata): Uint8Array {
  const bytes = encode(check(metadata));
  if (bytes.length > MAX_METADATA_BYTES)
    throw new InvalidInputError("BadMetadata", `the description needs ${bytes.length} bytes of metadata`, {
      hint: `shorten it: at most ${MAX_METADATA_BYTES} bytes are published`,
    });
  return bytes;
}

/** @throws InvalidInputError `BadMetadata`, `BadEncoding` */
export function decodeMarketMetadata(bytes: Uint8Array): MarketMetadata {
  return check(decode(bytes));
}

function check(value: unknown): MarketMetadata {
  const parsed = marketSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new InvalidInputError("BadMetadata", `not metadata of a listing: ${issue?.path.join(".")} ${issue?.message}`, {
    hint: "its seller may run a newer version",
  });
}

const text = new TextEncoder();

/**
 * The field `aux` of a dataset's listing: keccak256 of the number of batches and the hash of the shape of a batch
 * (samples in a batch, shape of a sample, classes).
 */
export function dataAux(batches: number, batchSize: number, shape: readonly number[], classes: number): Hex {
  const shapeHash = keccak256(keccak256(text.encode("skynet/1/shape")), encode({ batchSize, shape, classes }));
  return toHex(keccak256(word(batches), shapeHash));
}
