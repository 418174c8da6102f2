// Kills a process that writes blocks, at moments that follow from a seed, and looks at what is left.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { equalBytes } from "@skynet/protocol";
import { openBlockStore } from "./block-store.ts";
import { createRandom, seededBlock } from "./testing-blocks.ts";

interface Said {
  /** What was put, by CID: the number of the block. */
  readonly put: ReadonlyMap<string, number>;
  readonly pinned: ReadonlySet<string>;
  /** A collection had begun: what is not pinned may be gone. */
  readonly collected: boolean;
}

/** A process dies after so many of its lines at most, and so many milliseconds. */
const MAX_LINES = 40;
const MAX_MS = 6;

interface Death {
  readonly lines: number;
  readonly ms: number;
}

async function workAndDie(folder: string, seed: number, death: Death): Promise<Said> {
  const script = path.join(import.meta.dirname, "testing-writer.ts");
  const child = spawn(process.execPath, [script, folder, String(seed)], { stdio: ["ignore", "pipe", "inherit"] });
  const [put, pinned] = [new Map<string, number>(), new Set<string>()];
  let collected = false;
  let lines = 0;
  const ended = once(child, "exit");
  for await (const line of createInterface(child.stdout)) {
    const [what, first, second] = line.split(" ");
    if (lines++ === death.lines) setTimeout(() => child.kill("SIGKILL"), death.ms);
    if (what === "P") put.set(second!, Number(first));
    if (what === "K") pinned.add(first!);
    if (what === "G") collected = true;
  }
  const [, signal] = (await ended) as [number | null, string | null];
  if (signal !== "SIGKILL") throw new Error("the writing process ended by itself");
  return { put, pinned, collected };
}

/** @throws Error for a block that is lost, damaged or half, or a count that is wrong */
async function lookAt(folder: string, { put, pinned, collected }: Said): Promise<number> {
  const store = await openBlockStore(folder);
  try {
    const { good, lost } = await store.verify();
    if (lost.length > 0) throw new Error(`damaged or missing after a crash: ${JSON.stringify(lost)}`);
    if (good.bytes !== store.stats().bytes)
      throw new Error(`${store.stats().bytes} bytes are counted, ${good.bytes} are there`);
    for (const [cid, n] of put) {
      const bytes = await store.get(cid);
      if (bytes === undefined && (pinned.has(cid) || !collected)) throw new Error(`block ${n} (${cid}) is lost`);
      if (bytes !== undefined && !equalBytes(bytes, seededBlock(n))) throw new Error(`block ${n} has other bytes`);
    }
    const unfinished = await fs.readdir(path.join(folder, "unfinished"));
    if (unfinished.length > 0) throw new Error(`left over: ${unfinished.join()}`);
    return good.blocks;
  } finally {
    store.close();
  }
}

/** Kills `count` processes, each on the store that the one before left. */
export async function crashWriters(options: {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}): Promise<{ crashes: number; puts: number; blocks: number }> {
  const random = createRandom(options.seed);
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-crashes-"));
  try {
    let [puts, blocks] = [0, 0];
    for (let i = 0; i < options.count; i++) {
      const said = await workAndDie(folder, random(2 ** 31), { lines: random(MAX_LINES), ms: random(MAX_MS) });
      puts += said.put.size;
      blocks = await lookAt(folder, said);
      options.onProgress?.(i + 1);
    }
    return { crashes: options.count, puts, blocks };
  } finally {
    await fs.rm(folder, { recursive: true });
  }
}
