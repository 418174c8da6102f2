import { decode, encode, type Hex } from "@skynet/protocol";
import { unwrapKey, wrapKey } from "@skynet/network";
import { z } from "zod";
import { SwarmError } from "./errors.ts";
import type { Address } from "./ports.ts";
import { bytes, bytesOf } from "./schemas.ts";

/** Secrets of a job: the group key of the epoch and the age identity that opens the dataset's blocks. */
export interface JobSecrets {
  readonly epoch: number;
  readonly groupKey: Uint8Array;
  readonly dataIdentity: string;
}

const envelopeSchema = z.strictObject({
  version: z.literal(1),
  epoch: z.number().int().min(0),
  boxes: z
    .array(z.strictObject({ worker: z.string(), box: bytes }))
    .min(1)
    .max(256),
});
const secretsSchema = z.strictObject({
  groupKey: bytesOf(32),
  dataIdentity: z.string().min(1).max(500),
});

const contextOf = (jobId: Hex, epoch: number, worker: Address) =>
  `skynet/1/keys/${jobId}/${epoch}/${worker.toLowerCase()}`;

/** Wraps the secrets to each member's public key (64 bytes); the result is a public block. */
export function sealSecrets(
  jobId: Hex,
  secrets: JobSecrets,
  members: readonly { address: Address; publicKey: Uint8Array }[],
): Uint8Array {
  const plain = encode({ groupKey: secrets.groupKey, dataIdentity: secrets.dataIdentity });
  const boxes = members.map(({ address, publicKey }) => ({
    worker: address.toLowerCase(),
    box: wrapKey(plain, publicKey, contextOf(jobId, secrets.epoch, address)),
  }));
  return encode({ version: 1, epoch: secrets.epoch, boxes });
}

/** @throws SwarmError `BadKeys` when the block is malformed or holds nothing for this node */
export function openSecrets(
  jobId: Hex,
  block: Uint8Array,
  epoch: number,
  self: { address: Address; privateKey: Uint8Array },
): JobSecrets {
  const envelope = envelopeSchema.safeParse(decode(block));
  if (!envelope.success || envelope.data.epoch !== epoch)
    throw new SwarmError("BadKeys", "the published keys are malformed");
  const mine = envelope.data.boxes.find(({ worker }) => worker === self.address.toLowerCase());
  if (!mine) throw new SwarmError("BadKeys", `the keys of epoch ${epoch} are not for this worker`);
  const secrets = secretsSchema.safeParse(
    decode(unwrapKey(mine.box, self.privateKey, contextOf(jobId, epoch, self.address))),
  );
  if (!secrets.success) throw new SwarmError("BadKeys", "the published keys are malformed");
  return { epoch, ...secrets.data };
}
