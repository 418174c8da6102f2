import { multiaddr } from "@multiformats/multiaddr";
import { z } from "zod";
import { NetworkError } from "../errors.ts";
import { addressFromPeerId } from "../identity/identity.ts";

/** Most multiaddrs that one node may announce. */
export const MAX_ADDRESSES = 10;

/** Where a node can be reached, as it says itself. */
export interface Presence {
  /** Multiaddrs that end in the PeerId of the signer. Empty: it cannot be dialled. */
  readonly multiaddrs: readonly string[];
  /** What the node says that it does; a hint, never a permission. */
  readonly role: string;
}

const presenceSchema = z.strictObject({
  multiaddrs: z.array(z.string().max(256)).max(MAX_ADDRESSES),
  role: z.string().max(32),
});

/**
 * Checks what `from` announced.
 * @throws NetworkError `Malformed` when it does not parse or an address does not end in the PeerId of `from`
 */
export function parsePresence(body: unknown, from: string): Presence {
  const parsed = presenceSchema.safeParse(body);
  if (!parsed.success) throw new NetworkError("Malformed", "not a presence", { cause: parsed.error });
  for (const text of parsed.data.multiaddrs) {
    let owner: string;
    try {
      const last = multiaddr(text).getComponents().at(-1);
      owner = last?.name === "p2p" ? addressFromPeerId(last.value ?? "") : "";
    } catch (cause) {
      throw new NetworkError("Malformed", "a presence with a bad multiaddr", { cause });
    }
    if (owner !== from) throw new NetworkError("Malformed", "a presence with another node's multiaddr");
  }
  return parsed.data;
}

/** The body to announce: at most ten addresses. */
export function presenceBody(multiaddrs: readonly string[], role: string): Presence {
  return { multiaddrs: multiaddrs.slice(0, MAX_ADDRESSES), role };
}
