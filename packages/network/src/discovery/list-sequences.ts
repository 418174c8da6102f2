import type { Hex } from "@skynet/protocol";
import { z } from "zod";
import type { DocumentStore } from "./document-store.ts";

const schema = z.record(z.string().regex(/^0x[0-9a-f]{40}$/), z.int().min(1));

/** The highest number of a list that each publisher has signed, as far as this node knows. */
export interface ListSequences {
  /** 0 when no list of the publisher is known. */
  highest(publisher: Hex): number;
  raise(publisher: Hex, sequence: number): void;
  /** Writes what was raised, if anything was. @throws what the store says */
  save(): Promise<void>;
}

/**
 * Reads the numbers; those that cannot be read are put aside.
 * @throws what the store says
 */
export async function openListSequences(
  store: DocumentStore,
  complain: (error: unknown) => void,
): Promise<ListSequences> {
  const known = new Map<string, number>();
  let unsaved = false;
  const bytes = await store.read();
  try {
    if (bytes !== undefined)
      for (const [publisher, sequence] of Object.entries(schema.parse(JSON.parse(new TextDecoder().decode(bytes)))))
        known.set(publisher, sequence);
  } catch (cause) {
    const place = await store.setAside();
    complain(new Error(`the numbers of the lists of relays are damaged; they are now in ${place}`, { cause }));
  }
  const highest = (publisher: Hex) => known.get(publisher) ?? 0;
  return {
    highest,
    raise(publisher, sequence) {
      if (sequence <= highest(publisher)) return;
      known.set(publisher, sequence);
      unsaved = true;
    },
    async save() {
      if (!unsaved) return;
      await store.write(new TextEncoder().encode(`${JSON.stringify(Object.fromEntries(known))}\n`));
      unsaved = false;
    },
  };
}
