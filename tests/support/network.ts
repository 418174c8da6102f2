import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startChild, startDevnet, type Devnet, type SkyNetChild } from "@skynet/node";

export const silentUi = {
  line: () => undefined,
  progress: () => undefined,
  status: () => undefined,
  event: () => undefined,
  round: () => undefined,
  summary: () => undefined,
  close: () => undefined,
};

export interface TestNetwork extends Devnet {
  readonly folder: string;
  /** Starts `skynet train JOB --json` as the network's requester. */
  train(job: string, data?: string): SkyNetChild;
  /** Another node's key, with no money. */
  outsiderKey(): Uint8Array;
  close(): Promise<void>;
}

/** A local network in a temporary folder: real chain, relay and worker processes. */
export async function startTestNetwork(workers: number): Promise<TestNetwork> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-e2e-"));
  const devnet = await startDevnet({
    dataDir: path.join(folder, "net"),
    workers,
    ui: silentUi,
    signal: new AbortController().signal,
  });
  const children: SkyNetChild[] = [];
  const { keystore, passphraseFile } = devnet.requester;
  return {
    ...devnet,
    folder,
    outsiderKey: () => randomBytes(32),
    train: (job, data = path.join(folder, "requester")) => {
      const wallet = ["--keystore", keystore, "--passphrase-file", passphraseFile];
      const child = startChild([
        "train",
        job,
        "--rpc",
        devnet.rpcUrl,
        "--relay",
        devnet.relay,
        ...wallet,
        "--data",
        data,
      ]);
      children.push(child);
      return child;
    },
    close: async () => {
      await Promise.all(children.map((child) => child.stop()));
      await devnet.stop();
      await fs.rm(folder, { recursive: true, force: true });
    },
  };
}
