import { decode, encode, fromHex, InvalidInputError, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import type { ProvenStep } from "@skynet/swarm";
import { z } from "zod";

/** A worker asks a job's admitter for its signature; the key of the connection is the worker's. */
export const ADMISSION_PROTOCOL = "/skynet/admission/1";
export const MAX_REQUEST_BYTES = 64 * 1024;
export const MAX_ANSWER_BYTES = 4096;
const MAX_REASON = 1000;

const bytesOf = (most: number, least = most) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length >= least && value.length <= most);

const common = { v: z.literal(1), job: bytesOf(32), capabilities: bytesOf(1024, 0) };
const requestSchema = z.discriminatedUnion("t", [
  z.strictObject({ ...common, t: z.literal("apply") }),
  /** The worker has the model and wants to show that it can prove. */
  z.strictObject({ ...common, t: z.literal("challenge") }),
  z.strictObject({
    ...common,
    t: z.literal("proof"),
    idEnd: bytesOf(32),
    batchLeaf: bytesOf(32),
    proof: bytesOf(60 * 1024, 1),
  }),
]);
const answerSchema = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("admitted"), expiry: z.number().int().min(0), signature: bytesOf(65) }),
  /** The worker must prove a step of its job's model first. */
  z.strictObject({ t: z.literal("prove") }),
  z.strictObject({ t: z.literal("challenge"), nonce: bytesOf(32), seconds: z.number().int().min(1) }),
  z.strictObject({ t: z.literal("refused"), code: z.string().max(64), reason: z.string().max(MAX_REASON) }),
]);

export type AdmissionRequest = z.output<typeof requestSchema>;
export type AdmissionAnswer = z.output<typeof answerSchema>;

export const refusal = (code: string, reason: string): AdmissionAnswer => ({
  t: "refused",
  code,
  reason: reason.slice(0, MAX_REASON),
});

export const encodeAnswer = (answer: AdmissionAnswer): Uint8Array => encode(answer);

export function encodeRequest(
  kind: "apply" | "challenge",
  { jobId, capabilities }: { readonly jobId: Hex; readonly capabilities: Uint8Array },
): Uint8Array {
  return encode({ v: 1, t: kind, job: fromHex(jobId), capabilities });
}

export function encodeProof(
  { jobId, capabilities }: { readonly jobId: Hex; readonly capabilities: Uint8Array },
  { idEnd, batchLeaf, proof }: ProvenStep,
): Uint8Array {
  const step = { idEnd: fromHex(idEnd), batchLeaf: fromHex(batchLeaf), proof };
  return encode({ v: 1, t: "proof", job: fromHex(jobId), capabilities, ...step });
}

/** @throws SkyNetError `Malformed` */
export const decodeRequest = (bytes: Uint8Array): AdmissionRequest => parse(requestSchema, bytes, "Malformed");

/** @throws SkyNetError `BadAdmission` */
export const decodeAnswer = (bytes: Uint8Array): AdmissionAnswer => parse(answerSchema, bytes, "BadAdmission");

export const provenStepOf = ({ idEnd, batchLeaf, proof }: Extract<AdmissionRequest, { t: "proof" }>): ProvenStep => ({
  idEnd: toHex(idEnd),
  batchLeaf: toHex(batchLeaf),
  proof,
});

function parse<Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array, code: string): z.output<Schema> {
  try {
    return schema.parse(decode(bytes));
  } catch (cause) {
    if (cause instanceof InvalidInputError || cause instanceof z.ZodError)
      throw new SkyNetError(code, "not a message about an admission", { cause });
    throw cause;
  }
}
