// What a buyer must remember to end a purchase right after a crash. Holds secrets: mode 0600.
import path from "node:path";
import type { Hex } from "@skynet/protocol";
import { z } from "zod";
import { FileError, readFileIfThere, writeFileAtomic } from "../runtime/files.ts";

const hex = z
  .string()
  .regex(/^0x[0-9a-f]+$/)
  .transform((text) => text as Hex);

const purchaseSchema = z.strictObject({
  version: z.literal(1),
  listingId: hex,
  /** b, the secret behind the point that the order names. */
  secret: hex,
  /** The opened key; from then on the content can be fetched again. */
  key: hex.nullable(),
});
export type Purchase = z.output<typeof purchaseSchema>;

const answerSchema = z.strictObject({
  version: z.literal(1),
  offerId: hex,
  /** Commitment to the input, and the block that holds it for the host. */
  xId: hex,
  cid: z.string(),
});
export type AnswerOrder = z.output<typeof answerSchema>;

function parse<Value>(schema: z.ZodType<Value>, content: Uint8Array | undefined, file: string): Value | undefined {
  if (content === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(content)));
  } catch (cause) {
    throw new FileError("BrokenPurchaseFile", `${file} is damaged or from another version`, {
      cause,
      hint: "restore it; without it a delivered key cannot be opened. To buy again, move it away",
    });
  }
}

const save = (file: string, value: unknown) => writeFileAtomic(file, `${JSON.stringify(value, null, 2)}\n`, 0o600);

export const purchaseFile = (dataDir: string, listingId: Hex) => path.join(dataDir, "purchases", `${listingId}.json`);

/** @throws FileError `BrokenPurchaseFile` */
export async function loadPurchase(dataDir: string, listingId: Hex): Promise<Purchase | undefined> {
  const file = purchaseFile(dataDir, listingId);
  return parse(purchaseSchema, await readFileIfThere(file), file);
}

export const savePurchase = (dataDir: string, purchase: Purchase) =>
  save(purchaseFile(dataDir, purchase.listingId), purchase);

const answerFile = (dataDir: string, request: Hex) => path.join(dataDir, "answers", `${request}.json`);

/** @param request hash of offer and input @throws FileError `BrokenPurchaseFile` */
export async function loadAnswerOrder(dataDir: string, request: Hex): Promise<AnswerOrder | undefined> {
  const file = answerFile(dataDir, request);
  return parse(answerSchema, await readFileIfThere(file), file);
}

export const saveAnswerOrder = (dataDir: string, request: Hex, order: AnswerOrder) =>
  save(answerFile(dataDir, request), order);
