import fs from "node:fs/promises";
import path from "node:path";
import { compilerInput, compileVerifier, type CompiledVerifier } from "@skynet/proof";
import { decode, encode, keccak256, toHex, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { readFileIfThere, writeFileAtomic } from "./files.ts";
import { homeDir } from "./home.ts";

const code = z.custom<Hex>((value) => typeof value === "string" && /^0x([0-9a-f]{2})+$/.test(value));
const entry = z.strictObject({ initcode: code, runtime: code });
const text = new TextEncoder();

/**
 * Compiles a generated verifier, or takes what an earlier call on this machine made of the same source with the same
 * compiler: nodes meet the same model in job after job, and the compiler takes seconds. Kept in the home folder, which
 * only its owner may write, like the wallet; what cannot be read is made again.
 */
export async function compileVerifierOnce(source: string): Promise<CompiledVerifier> {
  const key = keccak256(text.encode(compilerInput(source)));
  const file = path.join(homeDir(), "compiled", toHex(key).slice(2));
  const kept = await readEntry(file, key);
  if (kept !== undefined) return kept;
  const compiled = await compileVerifier(source);
  const content = encode(compiled);
  const bytes = encode({ content, check: keccak256(key, content) });
  // A full disk costs time at the next call, no more.
  await fs
    .mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
    .then(() => writeFileAtomic(file, bytes, 0o600))
    .catch(() => undefined);
  return compiled;
}

async function readEntry(file: string, key: Uint8Array): Promise<CompiledVerifier | undefined> {
  try {
    const bytes = await readFileIfThere(file);
    if (bytes === undefined) return undefined;
    const { content, check } = decode(bytes) as { content: Uint8Array; check: Uint8Array };
    if (toHex(keccak256(key, content)) !== toHex(check)) return undefined;
    return entry.parse(decode(content));
  } catch {
    return undefined; // Damaged, or of another version.
  }
}
