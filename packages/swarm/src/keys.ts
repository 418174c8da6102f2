import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { managedNonce } from "@noble/ciphers/utils.js";
import { unwrapKey, wrapKey, type Identity } from "@skynet/network";
import { decode, encode, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { SwarmError } from "./errors.ts";
import type { Address } from "./ports.ts";
import { bytes } from "./schemas.ts";

/** Secrets of a job: the group key of the epoch and the age identity that opens the dataset's blocks. */
export interface JobSecrets {
  readonly epoch: number;
  /** 32 bytes. */
  readonly groupKey: Uint8Array;
  readonly dataIdentity: string;
}

const envelopeSchema = z.strictObject({
  version: z.literal(1),
  epoch: z.number().int().min(0),
  /** The group key, wrapped to each member's public key. */
  boxes: z
    .array(z.strictObject({ worker: z.string(), box: bytes }))
    .min(1)
    .max(256),
  /** The data identity, encrypted with the group key. */
  data: bytes,
});

const sealed = managedNonce(xchacha20poly1305);
const text = new TextEncoder();

const contextOf = (jobId: Hex, epoch: number) => `skynet/1/keys/${jobId}/${epoch}`;

/** Wraps the secrets for the members (public keys of 64 bytes); the result is a public block. */
export function sealSecrets(
  jobId: Hex,
  { epoch, groupKey, dataIdentity }: JobSecrets,
  members: readonly { address: Address; publicKey: Uint8Array }[],
): Uint8Array {
  const boxes = members.map(({ address, publicKey }) => ({
    worker: address,
    box: wrapKey(groupKey, publicKey, contextOf(jobId, epoch)),
  }));
  return encode({ version: 1, epoch, boxes, data: sealed(groupKey).encrypt(text.encode(dataIdentity)) });
}

/**
 * Opens the block that {@link sealSecrets} made.
 * @throws SwarmError `BadKeys` when it is malformed or holds nothing for this node; NetworkError `CannotDecrypt`
 */
export function openSecrets(jobId: Hex, block: Uint8Array, epoch: number, self: Identity): JobSecrets {
  const envelope = envelopeSchema.safeParse(decode(block));
  if (!envelope.success || envelope.data.epoch !== epoch)
    throw new SwarmError("BadKeys", "the published keys are malformed");
  const mine = envelope.data.boxes.find(({ worker }) => worker === self.address);
  if (!mine) throw new SwarmError("BadKeys", `the keys of epoch ${epoch} are not for this worker`);
  const groupKey = unwrapKey(mine.box, self, contextOf(jobId, epoch));
  try {
    return { epoch, groupKey, dataIdentity: new TextDecoder().decode(sealed(groupKey).decrypt(envelope.data.data)) };
  } catch (cause) {
    throw new SwarmError("BadKeys", "the data key does not open with the group key", { cause });
  }
}
