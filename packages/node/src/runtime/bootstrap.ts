import { SkyNetError, type Hex } from "@skynet/protocol";

/** A signed list of relays, and who may sign it. */
export interface Bootstrap {
  /** File or URL. */
  readonly source: string;
  readonly publishers: readonly Hex[];
}

/**
 * Reads `FILE#0xADDRESS` or `URL#0xADDRESS`; several addresses are separated by commas.
 * @throws SkyNetError `BadBootstrap` without the address of a publisher
 */
export function parseBootstrap(text: string): Bootstrap {
  const at = text.lastIndexOf("#");
  const publishers = text.slice(at + 1).split(",");
  if (at < 1 || !publishers.every((one) => /^0x[0-9a-fA-F]{40}$/.test(one)))
    throw new SkyNetError("BadBootstrap", `the list of relays names no publisher: ${text}`, {
      hint: "add the address of the key that signs it, which its publisher tells: list.json#0x12ab...",
    });
  return { source: text.slice(0, at), publishers: publishers.map((one) => one.toLowerCase() as Hex) };
}
