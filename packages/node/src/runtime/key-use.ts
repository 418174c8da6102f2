import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { Hex } from "@skynet/protocol";
import { lockOwner } from "./lock.ts";
import { readFileIfThere, writeFileAtomic } from "./files.ts";

const FILE = "identity.json";
const schema = z.object({ address: z.string(), role: z.string() });

/** Which key works in a data folder, and as what. */
export interface KeyUse {
  readonly folder: string;
  readonly role: string;
  /** Process that works there now. */
  readonly pid: number | undefined;
}

/** Notes in a node's data folder which key it works with, so that its owner finds the folder again. */
export async function noteKeyUse(folder: string, { address, role }: { address: Hex; role: string }): Promise<void> {
  await writeFileAtomic(path.join(folder, FILE), `${JSON.stringify({ address, role }, null, 2)}\n`, 0o600);
}

/** Data folders below `home`, at most two levels deep, in which this key was the last one to work. */
export async function keyUses(home: string, address: Hex): Promise<KeyUse[]> {
  const uses: KeyUse[] = [];
  for (const folder of await foldersBelow(home, 2)) {
    const content = await readFileIfThere(path.join(folder, FILE)).catch(() => undefined);
    const parsed = schema.safeParse(content && parseJson(content));
    if (parsed.success && parsed.data.address === address)
      uses.push({ folder, role: parsed.data.role, pid: lockOwner(folder) });
  }
  return uses;
}

async function foldersBelow(folder: string, depth: number): Promise<string[]> {
  if (depth === 0) return [];
  const entries = await fs.readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name));
  const below = await Promise.all(folders.map((inner) => foldersBelow(inner, depth - 1)));
  return [...folders, ...below.flat()];
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
