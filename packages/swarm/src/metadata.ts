import { decode, encode } from "@skynet/protocol";
import { z } from "zod";
import { SwarmError } from "./errors.ts";
import type { CircuitChoices } from "./ports.ts";
import { requirementsSchema } from "./requirements.ts";
import { bytesOf } from "./schemas.ts";

const metadataSchema = z.strictObject({
  version: z.literal(1),
  name: z.string().min(1).max(100),
  /** Arithmetic and verification, said plainly wherever the job is shown. */
  arithmetic: z.literal("fixed"),
  verification: z.enum(["quorum", "proof"]),
  /** Of jobs that are proven: choices of the circuit, from which every node generates the same verifier. */
  circuit: z
    .strictObject({
      blockBits: z.number().int().min(2).max(16).optional(),
      tableBits: z.number().int().min(3).max(16).optional(),
      hiding: z.boolean().optional(),
    })
    .optional(),
  /** The requester's node pays the gas of the workers, see docs/gas-sponsoring.md. */
  gas: z.literal("sponsored").optional(),
  modelCid: z.string().min(1).max(100),
  manifestCid: z.string().min(1).max(100),
  batchSize: z.number().int().min(1).max(4096),
  learningRate: z.number().positive(),
  initialSeed: bytesOf(32),
  /** age recipient of the requester: workers keep the final model for it, encrypted to this. */
  artefacts: z
    .string()
    .regex(/^age1[a-z0-9]{40,80}$/)
    .optional(),
  /** What workers should have; absent: nothing in particular. */
  requirements: requirementsSchema.optional(),
});

/**
 * What a worker must know to judge a job before it joins. Published in the event of the post; its keccak256 is
 * `metaHash` in the job's terms, so it cannot change afterwards.
 */
export type JobMetadata = z.output<typeof metadataSchema>;

/** Choices of the circuit as they are encoded: absent fields do not exist. */
export type MadeChoices = { readonly [Name in keyof CircuitChoices]: Exclude<CircuitChoices[Name], undefined> };

/** Only the choices that were made. */
export function circuitOf(choices: CircuitChoices): MadeChoices {
  const made = Object.entries(choices).filter(([, choice]) => choice !== undefined);
  return Object.fromEntries(made) as MadeChoices;
}

export function encodeMetadata(metadata: JobMetadata): Uint8Array {
  return encode(metadataSchema.parse(metadata));
}

/** @throws SwarmError `BadMetadata`; InvalidInputError `BadEncoding` */
export function decodeMetadata(bytes: Uint8Array): JobMetadata {
  const parsed = metadataSchema.safeParse(decode(bytes));
  if (!parsed.success)
    throw new SwarmError("BadMetadata", `the job's metadata is not valid: ${parsed.error.issues[0]?.message ?? ""}`, {
      hint: "the requester may run a newer version",
    });
  return parsed.data;
}
