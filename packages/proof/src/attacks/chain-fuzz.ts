import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { startAnvil } from "../../../contracts/src/anvil.ts";
import { VerifierChain } from "./evm.ts";

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
