import { decode, encode, fromHex, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { z } from "zod";

/** A requester asks a worker which models of its job it keeps; the key of the connection is the requester's. */
export const ARTEFACT_PROTOCOL = "/skynet/artefacts/1";
export const MAX_REQUEST_BYTES = 256;
export const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_OFFERS = 256;

const hash = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === 32, "32 bytes are needed");
const requestSchema = z.strictObject({ v: z.literal(1), job: hash });
const answerSchema = z.strictObject({
  v: z.literal(1),
  artefacts: z
    .array(
      z.strictObject({
        round: z.int().min(1),
        modelId: hash.transform(toHex),
        cid: z.string().min(1).max(100),
        bytes: z.int().min(1),
      }),
    )
    .max(MAX_OFFERS),
});

/** An artefact that a worker can give. */
export type OfferedArtefact = z.output<typeof answerSchema>["artefacts"][number];

export const encodeRequest = (jobId: Hex): Uint8Array => encode({ v: 1, job: fromHex(jobId) });

/** @throws SkyNetError `Malformed` */
export const decodeRequest = (bytes: Uint8Array): Hex => toHex(parse(requestSchema, bytes).job);

export const encodeAnswer = (artefacts: readonly OfferedArtefact[]): Uint8Array =>
  encode({
    v: 1,
    artefacts: artefacts
      .slice(-MAX_OFFERS)
      .map(({ round, modelId, cid, bytes }) => ({ round, modelId: fromHex(modelId), cid, bytes })),
  });

/** @throws SkyNetError `Malformed` */
export const decodeAnswer = (bytes: Uint8Array): readonly OfferedArtefact[] => parse(answerSchema, bytes).artefacts;

function parse<Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array): z.output<Schema> {
  try {
    return schema.parse(decode(bytes));
  } catch (cause) {
    throw new SkyNetError("Malformed", "not a message about models of a job", { cause });
  }
}
