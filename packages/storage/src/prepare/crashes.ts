// Kills a process that imports a table, at moments that follow from a seed, and looks at what is left.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { generateDataKey } from "../age.ts";
import { openBlockStore } from "../blocks/block-store.ts";
import { createRandom } from "../blocks/testing-blocks.ts";
import { openPrepared } from "./prepared.ts";

const ROWS = 12_000;
const child = path.join(import.meta.dirname, "testing-import-child.ts");

/** A table whose class follows from its second column. */
async function writeTable(folder: string): Promise<void> {
  const rows = Array.from(
    { length: ROWS },
    (_, i) => `${(i * 7919) % 1000},${i % 91},${(i * 31) % 17},${"abc"[(i % 91) % 3]}`,
  );
  await fs.writeFile(path.join(folder, "table.csv"), `one,two,three,label\n${rows.join("\n")}\n`);
}

/** @param death line after which, and milliseconds later, the process is killed @returns its root unless it was, and its lines */
async function importOnce(folder: string, recipient: string, death?: { line: number; ms: number }) {
  const importer = spawn(process.execPath, [child, folder, recipient], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(importer, "exit");
  let lines = 0;
  let prepared = 0;
  let root: string | undefined;
  for await (const line of createInterface(importer.stdout)) {
    if (lines++ === death?.line) setTimeout(() => importer.kill("SIGKILL"), death.ms);
    if (line === "prepared") prepared = lines;
    if (line.startsWith("root ")) root = line.slice(5);
  }
  const [code, signal] = (await ended) as [number | null, string | null];
  if (signal !== "SIGKILL" && code !== 0) throw new Error(`the import ended with ${code}`);
  return { root, lines, prepared };
}

/** @throws Error for a block that is damaged, or a dataset that is there in part @returns datasets that were complete */
async function lookAt(folder: string): Promise<number> {
  const store = await openBlockStore(path.join(folder, "blocks"));
  try {
    const { lost } = await store.verify();
    if (lost.length > 0) throw new Error(`damaged or missing after a crash: ${JSON.stringify(lost)}`);
  } finally {
    store.close();
  }
  const datasets = path.join(folder, "datasets");
  const names = await fs.readdir(datasets).catch(() => []);
  for (const name of names.filter((it) => !it.includes(".partial"))) {
    const data = await openPrepared(path.join(datasets, name));
    if (data === undefined) throw new Error(`${name} is there in part`);
    await data.train.read(0, data.train.rows);
  }
  return names.filter((name) => !name.includes(".partial")).length;
}

/** Kills `count` imports, each on what the one before left; at the end one goes through, with the root of an unharmed one. */
export async function crashImports(options: {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}): Promise<{ kills: number; afterPreparation: number }> {
  const random = createRandom(options.seed);
  const { recipient } = await generateDataKey();
  const folders = [
    await fs.mkdtemp(path.join(os.tmpdir(), "skynet-import-")),
    await fs.mkdtemp(path.join(os.tmpdir(), "skynet-import-")),
  ] as const;
  try {
    for (const folder of folders) await writeTable(folder);
    const [whole, crashed] = folders;
    const unharmed = await importOnce(whole, recipient);
    let [kills, afterPreparation] = [0, 0];
    for (let i = 0; i < options.count; i++) {
      // Half of them die before the samples are on disk, which is told in a few lines.
      const early = random(2) === 0;
      const death = { line: random(early ? unharmed.prepared : unharmed.lines), ms: random(early ? 40 : 12) };
      const { root } = await importOnce(crashed, recipient, death);
      if (root === undefined) kills++;
      afterPreparation += await lookAt(crashed);
      // The next one begins anew, now and then: else all but the first few would find the samples there.
      if (random(3) > 0) await fs.rm(path.join(crashed, "datasets"), { recursive: true, force: true });
      options.onProgress?.(i + 1);
    }
    const last = await importOnce(crashed, recipient);
    if (last.root === undefined || last.root !== unharmed.root)
      throw new Error(`the import went on to the root ${last.root}, not ${unharmed.root}`);
    await lookAt(crashed);
    return { kills, afterPreparation };
  } finally {
    for (const folder of folders) await fs.rm(folder, { recursive: true });
  }
}
