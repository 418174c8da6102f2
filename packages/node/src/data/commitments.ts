import fs from "node:fs/promises";
import path from "node:path";
import { concatBytes, encode, fromHex, keccak256, toHex } from "@skynet/protocol";
import type { BatchCommitments, BatchSource } from "@skynet/storage";
import type { CommittedBatch, ProofShape, Trainer } from "@skynet/swarm";
import type { Ui } from "../cli/ui.ts";
import { readFileIfThere } from "../runtime/files.ts";

/** Batches that travel to the training thread together: to be committed to, and to be blinded. */
const CHUNK = 8;
const BLIND_BYTES = 8 * 2 ** 20;
const POINT_BYTES = 64;

export interface CommitOptions {
  readonly source: BatchSource;
  /** Names the source: the same content has the same one. */
  readonly contentId: string;
  readonly proof: ProofShape;
  readonly trainer: Trainer;
  /** Of each batch: its blinders follow from it, 32 bytes. */
  readonly secretOf: (index: number) => Uint8Array;
  /** Keeps points without blinders, which are the same in every job on this data. */
  readonly cacheDir: string;
  readonly ui: Ui;
  readonly signal: AbortSignal;
}

/**
 * Commits to every batch: the points that are published. Work that was interrupted goes on where it stopped, and data
 * that were committed to before with the same layout are only checked.
 * @throws SkyNetError from the trainer; the signal's reason
 */
export async function commitTo(options: CommitOptions): Promise<BatchCommitments> {
  const { source, contentId, proof, cacheDir } = options;
  const tag = fromHex(proof.batchTag);
  const name = toHex(keccak256(tag, encode({ contentId, batchSize: source.batchSize }))).slice(2);
  const file = path.join(cacheDir, "commitments", `${name}.bin`);
  const size = proof.batchBlocks * POINT_BYTES;
  const kept = await readFileIfThere(file);
  const known = Math.min(Math.floor((kept?.length ?? 0) / size), source.count);
  const plain = Array.from({ length: known }, (_, i) => kept!.slice(i * size, (i + 1) * size));
  if (known > 0) {
    // What is on disk may be damaged, or cut off by a crash.
    const points = await finish(options, file, plain).catch((error: unknown) => {
      options.signal.throwIfAborted();
      if (!isDamage(error)) throw error;
      return undefined;
    });
    if (points) return { tag, points };
  }
  return { tag, points: await finish(options, file, []) };
}

const isDamage = (error: unknown): boolean =>
  ["BadBatch", "BadPoint"].includes((error as { code?: string } | undefined)?.code ?? "");

/** Commits to the batches that `plain` does not have yet, and blinds all; those from the disk are checked. */
async function finish(options: CommitOptions, file: string, plain: Uint8Array[]): Promise<Uint8Array[]> {
  const { source, trainer, ui, signal } = options;
  const known = plain.length;
  await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const handle = await fs.open(file, "a", 0o600);
  try {
    await handle.truncate(known * (plain[0]?.length ?? 0));
    for (let i = known; i < source.count; i += CHUNK) {
      signal.throwIfAborted();
      const points = await trainer.commitBatches(await batchesOf(source, i, Math.min(CHUNK, source.count - i)));
      await handle.appendFile(concatBytes(...points));
      plain.push(...points);
      ui.progress(`Committing to ${source.count} batches`, plain.length, source.count);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return blindAll(options, plain, known);
}

const batchesOf = (source: BatchSource, first: number, count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => source.batch(first + i)));

/** @param unchecked points of so many batches come from the disk @throws SkyNetError `BadBatch`, `BadPoint` */
async function blindAll(
  { source, trainer, secretOf, ui, signal }: CommitOptions,
  plain: readonly Uint8Array[],
  unchecked: number,
): Promise<Uint8Array[]> {
  const each = Math.max(1, Math.floor(BLIND_BYTES / (source.batchSize * (source.features + 1))));
  const points: Uint8Array[] = [];
  for (let first = 0; first < source.count; first += each) {
    signal.throwIfAborted();
    const batches = await batchesOf(source, first, Math.min(each, source.count - first));
    const committed: CommittedBatch[] = batches.map((batch, i) => ({
      ...batch,
      index: first + i,
      secret: secretOf(first + i),
      points: plain[first + i]!,
    }));
    const blinded = await trainer.blindBatches(committed);
    if (first < unchecked) await trainer.checkBatches(committed.map((batch, i) => ({ ...batch, points: blinded[i]! })));
    points.push(...blinded);
    ui.progress(
      first < unchecked ? "Checking the commitments" : "Blinding the commitments",
      points.length,
      source.count,
    );
  }
  return points;
}
