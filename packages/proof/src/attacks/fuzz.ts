import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { startAnvil } from "../../../contracts/src/anvil.ts";
import type { FuzzOptions } from "../fuzz.ts";
import { VerifierChain } from "./evm.ts";
import { assertPasses, assertRefused, attacks, Contracts, createSubjects, type Subjects } from "./run.ts";

/** Runs work with a chain of its own. */
export async function withChain<T>(work: (chain: VerifierChain) => Promise<T>): Promise<T> {
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-proof-fuzz-"));
  const anvil = await startAnvil({ dataDir, blockTimeSeconds: 0 });
  try {
    return await work(new VerifierChain(anvil.rpcUrl));
  } finally {
    await anvil.stop();
    fs.rmSync(dataDir, { recursive: true });
  }
}

async function withSubjects<T>(work: (subjects: Subjects) => Promise<T>): Promise<T> {
  const subjects = await createSubjects();
  try {
    return await work(subjects);
  } finally {
    for (const subject of subjects.values()) await subject.close();
  }
}

/**
 * The malicious provers, all of them: both verifiers refuse each at its check, and accept it without each relation or
 * check that it needs gone. `count` limits the number of attacks.
 */
async function fuzzAttacks({ count, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const chosen = attacks.slice(0, count);
  const names = new Set<string>();
  let deletions = 0;
  await withChain((chain) =>
    withSubjects(async (subjects) => {
      const contracts = new Contracts(chain);
      for (const [i, attack] of chosen.entries()) {
        await assertRefused(subjects, contracts, attack);
        for (const name of attack.without) {
          await assertPasses(subjects, contracts, attack, name);
          names.add(name);
          deletions++;
        }
        onProgress?.(i + 1);
      }
    }),
  );
  return { attacks: chosen.length, deletions, names: names.size };
}

export const attackFuzzers = { "proof-attacks": fuzzAttacks };
