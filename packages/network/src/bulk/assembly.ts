import { concatBytes, equalBytes, sha256 } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import { CHUNK_BYTES, type Offer } from "./update-messages.ts";

/** Content that arrives in chunks, in any order, over one or several streams. */
export interface Assembly {
  readonly offer: Offer;
  /** Bytes held. */
  readonly heldBytes: number;
  readonly complete: boolean;
  /** One bit per chunk that need not be sent. */
  have(): Uint8Array;
  /** Takes a chunk. @throws NetworkError `Malformed` when it is not the chunk that the offer names */
  add(index: number, chunk: Uint8Array): Promise<void>;
  /** The whole content. @throws NetworkError `Malformed` when it is incomplete or has another hash than offered */
  content(): Promise<Uint8Array>;
}

/** Memory grows with what arrives, not with what is announced. */
export function createAssembly(offer: Offer): Assembly {
  const count = offer.chunks.length / 32;
  const held = new Map<number, Uint8Array>();
  let heldBytes = 0;
  const sizeOf = (index: number) => Math.min(CHUNK_BYTES, offer.size - index * CHUNK_BYTES);
  return {
    offer,
    get heldBytes() {
      return heldBytes;
    },
    get complete() {
      return held.size === count;
    },
    have() {
      const bits = new Uint8Array(Math.ceil(count / 8));
      for (const index of held.keys()) bits[index >> 3]! |= 1 << (index & 7);
      return bits;
    },
    async add(index, chunk) {
      if (index >= count || chunk.length !== sizeOf(index))
        throw new NetworkError("Malformed", `chunk ${index} of ${chunk.length} bytes does not belong to the offer`);
      if (!equalBytes(await sha256(chunk), offer.chunks.subarray(32 * index, 32 * index + 32)))
        throw new NetworkError("Malformed", `chunk ${index} does not have the announced hash`);
      if (held.has(index)) return;
      held.set(index, chunk);
      heldBytes += chunk.length;
    },
    async content() {
      if (held.size !== count) throw new NetworkError("Malformed", `${held.size} of ${count} chunks arrived`);
      const content = concatBytes(...Array.from({ length: count }, (_, index) => held.get(index)!));
      if (!equalBytes(await sha256(content), offer.hash))
        throw new NetworkError("Malformed", "the content does not have the announced hash");
      return content;
    },
  };
}
