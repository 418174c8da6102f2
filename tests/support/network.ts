import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startChild, startDevnet, type Devnet, type SkyNetChild } from "@skynet/node";

export const silentUi = {
  line: () => undefined,
  note: () => undefined,
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
  /** Calls the chain, also what only a development chain has. */
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>;
  /** Lets the chain's clock jump by seconds. */
  pass(seconds: number): Promise<void>;
  /** Lets the chain's clock jump to a time in seconds, unless that has passed. */
  passUntil(seconds: number): Promise<void>;
  close(): Promise<void>;
}

/** A local network in a temporary folder: real chain, relay and worker processes. */
export async function startTestNetwork(workers: number): Promise<TestNetwork> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-e2e-"));
  const devnet = await startDevnet({
    dataDir: path.join(folder, "net"),
    workers,
    // No test goes on with the chain of a crashed network.
    stateIntervalSeconds: 3600,
    ui: silentUi,
    signal: new AbortController().signal,
  });
  const children: SkyNetChild[] = [];
  const rpc = async (method: string, params: readonly unknown[] = []): Promise<unknown> => {
    const answer = await fetch(devnet.rpcUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    return ((await answer.json()) as { result: unknown }).result;
  };
  const pass = async (seconds: number): Promise<void> => {
    await rpc("evm_increaseTime", [seconds]);
    await rpc("evm_mine");
  };
  const { keystore, passphraseFile } = devnet.requester;
  return {
    ...devnet,
    folder,
    outsiderKey: () => randomBytes(32),
    rpc,
    pass,
    passUntil: async (seconds) => {
      const { timestamp } = (await rpc("eth_getBlockByNumber", ["latest", false])) as { timestamp: string };
      const left = Math.ceil(seconds - Number(timestamp));
      if (left > 0) await pass(left);
    },
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
