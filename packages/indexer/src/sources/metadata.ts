import { cleanText, decode, fromHex, type Hex } from "@skynet/protocol";

/** What strangers published with an entry, as far as it can be read. */
export interface ReadMetadata {
  /** Of the encoded form. */
  readonly bytes: number;
  /** The bytes, unless they are too many to keep. */
  readonly raw: Uint8Array | null;
  readonly name: string | null;
  /** Empty when there is none. */
  readonly description: string;
  /** Words to search for: every text in it. */
  readonly words: string;
  /** The decoded object, for fields that a source knows. */
  readonly fields: Readonly<Record<string, unknown>>;
}

const MAX_BYTES = 16_384;
const MAX_NAME = 120;
const MAX_DESCRIPTION = 2_000;
const MAX_WORDS = 2_000;
const MAX_DEPTH = 4;
const MAX_TEXTS = 200;

/** DAG-CBOR as everything in SkyNet, or JSON; undefined when it is neither. */
function decodeLoosely(bytes: Uint8Array): unknown {
  try {
    return decode(bytes);
  } catch {
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
    } catch {
      return undefined;
    }
  }
}

function collectTexts(value: unknown, into: string[], depth: number): void {
  if (into.length >= MAX_TEXTS || depth > MAX_DEPTH) return;
  if (typeof value === "string") into.push(cleanText(value, MAX_WORDS));
  else if (typeof value === "number" || typeof value === "bigint") into.push(String(value));
  else if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value))
    for (const item of Object.values(value)) collectTexts(item, into, depth + 1);
}

/** Never throws: what cannot be read has no name and no words, and its entry is shown all the same. */
export function readMetadata(hex: Hex): ReadMetadata {
  const bytes = hex.length / 2 - 1;
  if (bytes > MAX_BYTES) return { bytes, raw: null, name: null, description: "", words: "", fields: {} };
  const raw = fromHex(hex);
  const value = decodeLoosely(raw);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
  const fields = isObject ? (value as Record<string, unknown>) : {};
  const texts: string[] = [];
  collectTexts(value, texts, 0);
  const field = (name: string, longest: number) => {
    const text = fields[name];
    return typeof text === "string" ? cleanText(text, longest) : "";
  };
  const name = field("name", MAX_NAME);
  const description = field("description", MAX_DESCRIPTION);
  const words = cleanText(texts.join(" "), MAX_WORDS);
  return { bytes, raw, name: name === "" ? null : name, description, words, fields };
}
