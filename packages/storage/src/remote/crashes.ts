import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { generateDataKey } from "../age.ts";
import { downloadFile } from "./download.ts";
import { createGateways } from "./gateway.ts";
import { startTestService, type TestService } from "./testing-service.ts";
import { readJournal } from "./upload-journal.ts";
import type { Uploaded } from "./upload.ts";

export interface CrashOptions {
  /** Times that an uploading process is killed. */
  readonly count: number;
  readonly random: (below: number) => number;
  readonly onProgress?: ((done: number) => void) | undefined;
}

const PART = 32 * 1024;
const PARTS = 24;
/** Parts that an upload has on their way at once. */
const CONCURRENCY = 3;
/** Milliseconds: starting a process and uploading all takes about half of it. */
const LONGEST_MS = 900;

/**
 * Kills uploading processes with SIGKILL, at random requests of theirs or at random times, until `count` were killed.
 * Each time the next process goes on; when one comes through, what the service has must be the file, and no part that
 * was confirmed and noted may have been sent again.
 * @throws Error on the first upload for which that does not hold
 */
export async function crashUploads({ count, random, onProgress }: CrashOptions): Promise<Record<string, number>> {
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-upload-crashes-"));
  const service = await startTestService();
  const counts = { kills: 0, uploads: 0, resumedParts: 0, repeatedParts: 0 };
  try {
    while (counts.kills < count) {
      const round = await uploadOnce(service, dir, { count: count - counts.kills, random });
      counts.kills += round.kills;
      counts.uploads++;
      counts.resumedParts += round.resumedParts;
      counts.repeatedParts += round.repeatedParts;
      onProgress?.(Math.min(count, counts.kills));
    }
    return counts;
  } finally {
    await service.close();
    await fs.rm(dir, { recursive: true, force: true });
  }
}

async function uploadOnce(service: TestService, dir: string, { count, random }: CrashOptions) {
  const file = path.join(dir, "data.bin");
  const stateDir = path.join(dir, "state");
  await fs.writeFile(file, randomBytes(PART * PARTS - random(PART)));
  service.stored.length = 0;
  const key = random(2) === 0 ? undefined : await generateDataKey();
  const args = [service.url, file, stateDir, String(PART), ...(key === undefined ? [] : [key.recipient])];
  const most = Math.min(count, 1 + random(6));
  let kills = 0;
  let uploaded: Uploaded | undefined;
  while (uploaded === undefined) {
    const noted = await notedParts(stateDir);
    const before = service.stored.length;
    uploaded = await runChild(service, args, kills < most ? random : undefined);
    if (uploaded === undefined) kills++;
    const again = service.stored.slice(before).filter(({ cid }) => noted.has(cid));
    if (again.length > 0) throw new Error(`a part that was noted was sent again: ${again[0]!.name}`);
  }
  await compare(service, dir, { file, cid: uploaded.cid, identity: key?.identity });
  const sent = service.stored.filter(({ name }) => name.includes(".part-")).length;
  const repeatedParts = sent - uploaded.parts.length;
  // What was on its way when the process was killed, and nothing else.
  if (repeatedParts > kills * CONCURRENCY)
    throw new Error(`${repeatedParts} parts were sent again after ${kills} kills`);
  return { kills, resumedParts: uploaded.resumedParts, repeatedParts };
}

/** @param random kills the process at a random point of its work; undefined: it may finish */
async function runChild(
  service: TestService,
  args: readonly string[],
  random: ((below: number) => number) | undefined,
): Promise<Uploaded | undefined> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "testing-upload-child.ts"), ...args]);
  let out = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const kill = () => void child.kill("SIGKILL");
  let timer: NodeJS.Timeout | undefined;
  if (random !== undefined) {
    // Half of them at a request, where most happens, the others at any time.
    const at = service.requests.length + 1 + random(PARTS);
    if (random(2) === 0) timer = setTimeout(kill, random(LONGEST_MS));
    else
      service.fault = ({ count }) => {
        if (count >= at) kill();
        return undefined;
      };
  }
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  service.fault = undefined;
  if (code === 0) return JSON.parse(out) as Uploaded;
  if (signal !== "SIGKILL") throw new Error(`the upload failed: ${errors}`);
  return undefined;
}

/** CIDs of parts that the journal on disk says are done. */
async function notedParts(stateDir: string): Promise<Set<string>> {
  const noted = new Set<string>();
  for (const name of await fs.readdir(stateDir).catch(() => [])) {
    const journal = await readJournal(path.join(stateDir, name));
    for (const cid of journal?.parts ?? []) if (cid !== null) noted.add(cid);
  }
  return noted;
}

async function compare(
  service: TestService,
  dir: string,
  { file, cid, identity }: { file: string; cid: string; identity: string | undefined },
): Promise<void> {
  const out = path.join(dir, "out.bin");
  const gateways = createGateways({ gateways: [service.url] });
  await downloadFile({
    cid,
    file: out,
    gateways,
    overwrite: true,
    ...(identity && { identity: async () => identity }),
  });
  const hash = async (name: string) =>
    createHash("sha256")
      .update(await fs.readFile(name))
      .digest("hex");
  if ((await hash(out)) !== (await hash(file))) throw new Error("what was uploaded is not the file");
}
