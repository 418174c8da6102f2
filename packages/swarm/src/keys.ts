// How the requester gives each member what it may know: the group key, and the secrets of the batches that it trains on.
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { managedNonce } from "@noble/ciphers/utils.js";
import { createGroupKey, unwrapKey, wrapKey, type Identity } from "@skynet/network";
import { decode, encode, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { batchSecret } from "./blinding.ts";
import { SwarmError } from "./errors.ts";
import type { Address } from "./ports.ts";
import { bytes } from "./schemas.ts";

/** Secrets of a job as its requester knows them. */
export interface JobSecrets {
  readonly epoch: number;
  /** 32 bytes. */
  readonly groupKey: Uint8Array;
  /** 32 bytes; the secret of each batch follows from it, see {@link batchSecret}. */
  readonly datasetSecret: Uint8Array;
}

/** Secrets of a job as a worker knows them. */
export interface WorkerSecrets extends Pick<JobSecrets, "epoch" | "groupKey"> {
  /** 32 bytes for each batch that it trains on. */
  readonly batches: ReadonlyMap<number, Uint8Array>;
}

/** A member, its public key of 64 bytes, and the batches that it may open. */
export interface KeyRecipient {
  readonly address: Address;
  readonly publicKey: Uint8Array;
  readonly batches: readonly number[];
}

/** Serves a block to the members of the job. @returns its CID */
export type PublishBlock = (block: Uint8Array) => Promise<string>;

/** Lists of all members together that travel in the envelope itself; larger ones become blocks of their own. */
const MAX_INLINE_BYTES = 1024 * 1024;
const SECRET_BYTES = 32;
/** Batches of one list: 37 bytes each, so that a list fits into a block. A worker with more gets several. */
const LIST_BATCHES = 65_536;
const MAX_LISTS = 16;

const envelopeSchema = z.strictObject({
  version: z.literal(2),
  epoch: z.number().int().min(0),
  boxes: z
    .array(
      z.strictObject({
        worker: z.string(),
        /** The group key, wrapped to the member's public key. */
        group: bytes,
        /** The key of the member's list, wrapped in the same way. */
        key: bytes,
        /** Encrypted with that key: a list, or the CID of the block that it is. */
        lists: z.array(z.union([bytes, z.string().min(1).max(100)])).max(MAX_LISTS),
      }),
    )
    .min(1)
    .max(256),
});

const listSchema = z
  .strictObject({
    batches: z.array(z.number().int().min(0)).max(LIST_BATCHES),
    /** 32 bytes for each batch, in the same order. */
    secrets: bytes,
  })
  .refine(({ batches, secrets }) => secrets.length === SECRET_BYTES * batches.length, "32 bytes for each batch");

const sealed = managedNonce(xchacha20poly1305);

const groupContext = (jobId: Hex, epoch: number) => `skynet/1/keys/${jobId}/${epoch}`;
const listContext = (jobId: Hex, epoch: number) => `skynet/1/batch-keys/${jobId}/${epoch}`;

/**
 * Wraps the group key for each member, and encrypts to it the secrets of its batches alone.
 * @param maxInlineBytes of all lists together; see {@link MAX_INLINE_BYTES}
 * @returns the CID of the envelope, a public block
 */
export async function publishSecrets(
  jobId: Hex,
  secrets: JobSecrets,
  members: readonly KeyRecipient[],
  publish: PublishBlock,
  maxInlineBytes = MAX_INLINE_BYTES,
): Promise<string> {
  const { epoch, groupKey } = secrets;
  const lists = members.map(({ batches }) => {
    const key = createGroupKey();
    const parts = Array.from({ length: Math.ceil(batches.length / LIST_BATCHES) }, (_, i) =>
      batches.slice(i * LIST_BATCHES, (i + 1) * LIST_BATCHES),
    );
    return { key, parts: parts.map((part) => sealed(key).encrypt(listOf(part, secrets))) };
  });
  const inline = lists.flatMap(({ parts }) => parts).reduce((sum, part) => sum + part.length, 0) <= maxInlineBytes;
  const boxes = [];
  for (const [i, { address, publicKey }] of members.entries()) {
    const { key, parts } = lists[i]!;
    boxes.push({
      worker: address,
      group: wrapKey(groupKey, publicKey, groupContext(jobId, epoch)),
      key: wrapKey(key, publicKey, listContext(jobId, epoch)),
      lists: inline ? parts : await Promise.all(parts.map((part) => publish(part))),
    });
  }
  return publish(encode({ version: 2, epoch, boxes }));
}

function listOf(batches: readonly number[], { datasetSecret }: JobSecrets): Uint8Array {
  const secrets = new Uint8Array(SECRET_BYTES * batches.length);
  for (const [i, index] of batches.entries()) secrets.set(batchSecret(datasetSecret, index), SECRET_BYTES * i);
  return encode({ batches: [...batches], secrets });
}

export interface OpenSecretsOptions {
  readonly jobId: Hex;
  readonly epoch: number;
  readonly self: Identity;
  /** Batches of this worker's rounds. */
  readonly needed: readonly number[];
  /** Gets the block of a list that did not fit into the envelope. */
  readonly fetchList: (cid: string) => Promise<Uint8Array>;
}

/**
 * Opens the envelope that {@link publishSecrets} made.
 * @throws SwarmError `BadKeys` when it is malformed, holds nothing for this node, or lacks a batch that is needed;
 * NetworkError `CannotDecrypt`; whatever `fetchList` throws
 */
export async function openSecrets(envelope: Uint8Array, options: OpenSecretsOptions): Promise<WorkerSecrets> {
  const { jobId, epoch, self, needed, fetchList } = options;
  const parsed = envelopeSchema.safeParse(decode(envelope));
  if (!parsed.success || parsed.data.epoch !== epoch)
    throw new SwarmError("BadKeys", "the published keys are malformed");
  const mine = parsed.data.boxes.find(({ worker }) => worker === self.address);
  if (!mine) throw new SwarmError("BadKeys", `the keys of epoch ${epoch} are not for this worker`);
  const groupKey = unwrapKey(mine.group, self, groupContext(jobId, epoch));
  const key = unwrapKey(mine.key, self, listContext(jobId, epoch));
  const batches = new Map<number, Uint8Array>();
  for (const part of mine.lists) {
    const list = typeof part === "string" ? await fetchList(part) : part;
    for (const [index, secret] of openList(key, list)) batches.set(index, secret);
  }
  const missing = needed.filter((index) => !batches.has(index));
  if (missing.length > 0)
    throw new SwarmError(
      "BadKeys",
      `the keys of epoch ${epoch} lack ${missing.length} of the ${needed.length} batches of this worker, such as ${missing[0]}`,
      { hint: "the requester made a mistake, or does not want this worker to be ready; another epoch may be right" },
    );
  return { epoch, groupKey, batches };
}

function openList(key: Uint8Array, list: Uint8Array): ReadonlyMap<number, Uint8Array> {
  try {
    const { batches, secrets } = listSchema.parse(decode(sealed(key).decrypt(list)));
    return new Map(batches.map((index, i) => [index, secrets.slice(SECRET_BYTES * i, SECRET_BYTES * (i + 1))]));
  } catch (cause) {
    throw new SwarmError("BadKeys", "the list of batch keys does not open, or is malformed", { cause });
  }
}
