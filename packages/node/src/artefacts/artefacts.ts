// Models of a job as its requester gets them back: ONNX with the blinders of their id, encrypted to the requester's own key.
import path from "node:path";
import { deriveSecret, type Identity } from "@skynet/network";
import { decode, encode, fromHex, toHex, type Hex } from "@skynet/protocol";
import {
  cidsOfContent,
  dataKeyOf,
  decryptBlock,
  encryptBlock,
  putContent,
  type DataKey,
  type DiskBlockStore,
} from "@skynet/storage";
import { z } from "zod";
import { jobFolder } from "../roles/job-files.ts";
import { artefactPin } from "../runtime/blocks.ts";
import { readFileIfThere, writeFileAtomic } from "../runtime/files.ts";

/** A model after a merged round. */
export interface Artefact {
  readonly jobId: Hex;
  /** 1 for the first. */
  readonly round: number;
  /** As on chain. */
  readonly modelId: Hex;
  readonly onnx: Uint8Array;
  /** Of the commitment behind the id, 32 bytes each; none in quorum mode. */
  readonly blinders: Uint8Array;
}

const hex = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/)
  .transform((text) => text as Hex);
const keptSchema = z.strictObject({
  round: z.int().min(1),
  modelId: hex,
  cid: z.string().max(100),
  /** Encrypted. */
  bytes: z.int().min(1),
  /** Milliseconds since the epoch. */
  keptMs: z.number(),
});
/** Where an artefact is. */
export type KeptArtefact = z.output<typeof keptSchema>;
const indexSchema = z.strictObject({ version: z.literal(1), artefacts: z.array(keptSchema).max(4096) });

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const artefactSchema = z.strictObject({
  version: z.literal(1),
  job: bytes,
  round: z.int().min(1),
  modelId: bytes,
  onnx: bytes,
  blinders: bytes,
});

export interface ArtefactPlace {
  readonly blocks: DiskBlockStore;
  readonly dataDir: string;
}

/** A requester's key for the artefacts of all its jobs: it follows from its node's, so that there is no other to lose. */
export const artefactKey = (identity: Pick<Identity, "privateKey">): Promise<DataKey> =>
  dataKeyOf(deriveSecret(identity, "artefacts"));

const indexFile = (dataDir: string, jobId: Hex) => path.join(jobFolder(dataDir, jobId), "artefacts.json");

/** Artefacts of a job in this folder; an index that cannot be read counts as none. */
export async function keptArtefacts(dataDir: string, jobId: Hex): Promise<readonly KeptArtefact[]> {
  const content = await readFileIfThere(indexFile(dataDir, jobId));
  try {
    return content ? indexSchema.parse(JSON.parse(new TextDecoder().decode(content))).artefacts : [];
  } catch {
    return [];
  }
}

/**
 * Encrypts, stores and pins an artefact. Does nothing when it is there already.
 * @param recipient age recipient of the requester
 * @param options `replace`: also when one with this id is there, which may be damaged
 * @throws StorageError `BadKey`, `DiskFull`, `QuotaExceeded`, `StoreFailed`
 */
export async function keepArtefact(
  { blocks, dataDir }: ArtefactPlace,
  { jobId, round, modelId, onnx, blinders }: Artefact,
  recipient: string,
  { replace = false }: { readonly replace?: boolean } = {},
): Promise<KeptArtefact> {
  const known = await keptArtefacts(dataDir, jobId);
  const same = known.find((each) => each.round === round && each.modelId === modelId);
  if (!replace && same !== undefined && (await blocks.has(same.cid))) return same;
  const plain = encode({ version: 1, job: fromHex(jobId), round, modelId: fromHex(modelId), onnx, blinders });
  const sealed = await encryptBlock(plain, [recipient]);
  const cid = await putContent(blocks, sealed);
  // What was there before is of no use any more, and would stay as long as this.
  blocks.unpin(artefactPin(jobId, round));
  blocks.pin(artefactPin(jobId, round), await cidsOfContent(blocks, cid));
  const kept = { round, modelId, cid, bytes: sealed.length, keptMs: Date.now() };
  // After a reorganisation of the chain a round can have another model.
  const artefacts = [...known.filter((each) => each.round !== round), kept].toSorted((a, b) => a.round - b.round);
  await writeFileAtomic(indexFile(dataDir, jobId), `${JSON.stringify({ version: 1, artefacts }, null, 2)}\n`, 0o600);
  return kept;
}

/** @throws StorageError `CannotDecrypt`; InvalidInputError `BadEncoding`; ZodError when it is something else */
export async function openArtefact(sealed: Uint8Array, identity: string): Promise<Artefact> {
  const { job, round, modelId, onnx, blinders } = artefactSchema.parse(decode(await decryptBlock(sealed, identity)));
  return { jobId: toHex(job), round, modelId: toHex(modelId), onnx, blinders };
}
