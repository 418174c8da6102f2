// The input of a paid answer: only the host can open it, and it opens the commitment that the order names.
import { createGroupKey, unwrapKey, wrapKey, type Identity } from "@skynet/network";
import { type Blinders, decodeBlinders, encodeBlinders } from "@skynet/proof";
import { decode, encode, InvalidInputError, type Hex } from "@skynet/protocol";
import { dataKeyOf, decryptBlock, encryptBlock } from "@skynet/storage";
import { z } from "zod";

export interface OpenedInput {
  readonly x: Int8Array;
  readonly blinders: Blinders;
}

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const sealedSchema = z.strictObject({ version: z.literal(1), key: bytes, body: bytes });
const inputSchema = z.strictObject({ x: bytes, blinders: bytes });

const contextOf = (xId: Hex): string => `skynet/1/input/${xId}`;

/** Encrypts an input and the blinders of its commitment to the host. @param hostKey compressed public key */
export async function sealInput(xId: Hex, { x, blinders }: OpenedInput, hostKey: Uint8Array): Promise<Uint8Array> {
  const secret = createGroupKey();
  const { recipient } = await dataKeyOf(secret);
  const plain = encode({ x: new Uint8Array(x.buffer, x.byteOffset, x.length), blinders: encodeBlinders(blinders) });
  return encode({
    version: 1,
    key: wrapKey(secret, hostKey, contextOf(xId)),
    body: await encryptBlock(plain, [recipient]),
  });
}

/**
 * Opens an input; whether it belongs to the order's commitment is the caller's to check.
 * @throws InvalidInputError `BadInput`
 */
export async function openInput(
  xId: Hex,
  sealed: Uint8Array,
  host: Identity,
  { features, blocks }: { features: number; blocks: number },
): Promise<OpenedInput> {
  try {
    const { key, body } = sealedSchema.parse(decode(sealed));
    const { identity } = await dataKeyOf(unwrapKey(key, host, contextOf(xId)));
    const { x, blinders } = inputSchema.parse(decode(await decryptBlock(body, identity)));
    if (x.length !== features) throw new InvalidInputError("BadInput", `${x.length} values instead of ${features}`);
    return { x: new Int8Array(x.slice().buffer), blinders: decodeBlinders(blinders, blocks) };
  } catch (cause) {
    throw new InvalidInputError("BadInput", `the input of an order does not open: ${(cause as Error).message}`, {
      cause,
    });
  }
}
