import { concatBytes, equalBytes, sha256 } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import { createMemoryPartials, type Partials } from "./partials.ts";
import type { SizedBlock } from "./transfer-task.ts";
import { blocksOfOffer, CHUNK_BYTES, type Offer } from "./update-messages.ts";

/** An update on its way: the chunks that are here, whose hashes are right, and the beginnings of others. */
export interface Assembly {
  readonly offer: Offer;
  readonly partials: Partials;
  /** Bytes of whole chunks. */
  readonly heldBytes: number;
  /** Chunks that are not here, with their numbers. */
  missing(): { readonly ref: SizedBlock; readonly index: number }[];
  add(index: number, chunk: Uint8Array): void;
  /** The whole content. @throws NetworkError `Malformed` when it is incomplete or has another hash than offered */
  content(): Promise<Uint8Array>;
}

/** Beginnings of chunks that are kept. */
const PARTIAL_BYTES = 8 * CHUNK_BYTES;

/** Memory grows with what arrives, not with what is announced. */
export function createAssembly(offer: Offer): Assembly {
  const refs = blocksOfOffer(offer);
  const held = new Map<number, Uint8Array>();
  let heldBytes = 0;
  return {
    offer,
    partials: createMemoryPartials(PARTIAL_BYTES),
    get heldBytes() {
      return heldBytes;
    },
    missing: () => refs.flatMap((ref, index) => (held.has(index) ? [] : [{ ref, index }])),
    add(index, chunk) {
      if (held.has(index)) return;
      held.set(index, chunk);
      heldBytes += chunk.length;
    },
    async content() {
      if (held.size !== refs.length)
        throw new NetworkError("Malformed", `${held.size} of ${refs.length} chunks arrived`);
      const content = concatBytes(...refs.map((_ref, index) => held.get(index)!));
      if (!equalBytes(await sha256(content), offer.hash))
        throw new NetworkError("Malformed", "the content does not have the announced hash");
      return content;
    },
  };
}
