import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createChain, startAnvil } from "@skynet/contracts";
import { readJobFile } from "@skynet/node";
import { toHex } from "@skynet/protocol";
import { circuitOf, decodeMetadata, encodeMetadata } from "@skynet/swarm";
import { parseEther } from "viem";
import { expect, it } from "vitest";
import { circuitOfJob } from "../packages/node/src/roles/job-terms.ts";
import { startRelay } from "../packages/node/src/roles/relay/relay.ts";
import { runRequester } from "../packages/node/src/roles/requester.ts";
import { checkZeroKnowledge } from "../packages/node/src/roles/verifier.ts";
import { withZk } from "../packages/node/src/cli/options.ts";
import { silentUi } from "./support/network.ts";
import { tinyCircuit, writeTinyJob } from "./support/tiny-job.ts";

const PUBLIC_CHAIN = 99;

it("a job without zero knowledge is not posted on any chain but the development chain", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-"));
  const anvil = await startAnvil({ dataDir: path.join(folder, "chain"), blockTimeSeconds: 0, chainId: PUBLIC_CHAIN });
  const listen = ["/ip4/127.0.0.1/tcp/0"];
  const relay = await startRelay({ privateKey: randomBytes(32), listen, dataDir: folder });
  try {
    const privateKey = randomBytes(32);
    const chain = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: toHex(privateKey) });
    await anvil.setBalance(chain.address, parseEther("10"));
    await chain.deploy();
    const job = withZk(await readJobFile(await writeTinyJob(path.join(folder, "job"))), false);
    const posting = runRequester({
      job,
      rpcUrl: anvil.rpcUrl,
      relays: [relay.host.multiaddrs()[0]!],
      privateKey,
      dataDir: path.join(folder, "requester"),
      listen,
      ui: silentUi,
      signal: new AbortController().signal,
    });
    await expect(posting).rejects.toMatchObject({ code: "NoZeroKnowledge" });
    expect(await chain.jobIds()).toEqual([]);
  } finally {
    await relay.stop();
    await anvil.stop();
    await fs.rm(folder, { recursive: true, force: true });
  }
});

it("the choice travels in the metadata, and only if it was made", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-"));
  try {
    const job = await readJobFile(await writeTinyJob(folder));
    expect(job.verification.zeroKnowledge).toBe(true);
    expect(circuitOfJob(job)).toEqual(tinyCircuit);
    expect(circuitOfJob(withZk(job, true))).toEqual(tinyCircuit);
    const circuit = circuitOfJob(withZk(job, false));
    expect(circuit).toEqual({ ...tinyCircuit, hiding: false });

    const metadata = decodeMetadata(
      encodeMetadata({
        version: 1,
        name: "tiny",
        arithmetic: "fixed",
        verification: "proof",
        circuit,
        modelCid: "model",
        manifestCid: "manifest",
        batchSize: 16,
        learningRate: 0.5,
        initialSeed: new Uint8Array(32),
      }),
    );
    // what a worker does with it before it joins
    const chosen = circuitOf(metadata.circuit!);
    expect(() => checkZeroKnowledge({ chainId: 31337 }, chosen)).not.toThrow();
    expect(() => checkZeroKnowledge({ chainId: PUBLIC_CHAIN }, chosen)).toThrow(
      expect.objectContaining({ code: "NoZeroKnowledge" }),
    );
    expect(() => checkZeroKnowledge({ chainId: PUBLIC_CHAIN }, tinyCircuit)).not.toThrow();
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
});
