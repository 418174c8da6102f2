import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { createChain, type Chain } from "@skynet/contracts";
import { createHost, createIdentity, fetchBlock, sendUpdate } from "@skynet/network";
import { keystoreAddress, startChild, type SkyNetChild } from "@skynet/node";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { toHex, type Hex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endCommits } from "./support/absence.ts";
import { idxBytes } from "./support/idx.ts";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";
import { writeSmallJob } from "./support/small-job.ts";

let network: TestNetwork;
let chain: Chain;
beforeAll(async () => {
  network = await startTestNetwork(4);
  chain = await createChain({ rpcUrl: network.rpcUrl, privateKey: toHex(await network.requesterKey()) });
}, 60_000);
afterAll(() => network.close(), 60_000);

interface SummaryEvent {
  readonly outcome: string;
  readonly testAccuracy: number;
  readonly rounds: number;
  readonly statesIdentical: boolean;
  readonly budget: string;
  readonly paid: string;
  readonly refunded: string;
  readonly burned: string;
  readonly modelFile: string;
  readonly reportFile: string;
}

/** Files that lie in a folder, with their sizes. */
async function filesIn(folder: string): Promise<string[]> {
  return (await fs.readdir(folder, { recursive: true }).catch(() => [])).map(String);
}

describe("a job on a local network of processes", () => {
  it(
    "is trained, paid and delivered, also without a worker that is killed in the middle; workers get everything over sockets; strangers see nothing",
    { timeout: 240_000 },
    async () => {
      const { folder } = network;
      const [victim, ...others] = network.workers as [SkyNetChild, SkyNetChild, SkyNetChild, SkyNetChild];
      const traffic = Promise.all(others.map((worker) => worker.event("finished", 150_000)));
      const windows = { commit: 120, prove: 120, merge: 120 };
      const job = await writeSmallJob(path.join(folder, "job"), { workers: 4, minimum: 3, rounds: 3, windows });

      const outsider = await createHost({ identity: createIdentity(network.outsiderKey()), relays: [network.relay] });
      const overheard: unknown[] = [];
      await outsider.connected({ signal: AbortSignal.timeout(30_000) });
      victim.onEvent((event) => {
        if (event.event === "training" && event.round === 1) victim.process.kill("SIGKILL");
      });
      // Posted first, followed from the chain alone, through Ctrl-C, and then led by its requester's node.
      const { keystore, passphraseFile } = network.requester;
      const wallet = ["--keystore", keystore, "--passphrase-file", passphraseFile];
      const place = ["--rpc", network.rpcUrl, "--relay", network.relay, "--data", path.join(folder, "requester")];
      const posting = startChild(["job", "post", job, ...place, ...wallet]);
      const { jobId } = (await posting.event("result")) as { jobId: Hex };
      const interrupted = startChild(["job", "watch", jobId.slice(0, 10), "--rpc", network.rpcUrl]);
      await interrupted.event("JobPosted");
      const interruption = once(interrupted.process, "exit");
      interrupted.process.kill("SIGINT");
      expect(await interruption).toEqual([130, null]);
      const watch = startChild(["job", "watch", jobId, "--rpc", network.rpcUrl]);
      const watched = watch.event("result", 160_000);
      const requester = network.train(job);
      expect((await requester.event("posted")).jobId).toBe(jobId);
      outsider.subscribe(`job-${jobId.slice(2)}`, (message) => void overheard.push(message));
      await requester.event("round", 120_000);

      const member = (await others[0].event("ready")).address as Hex;
      const update = { job: jobId, round: 1, kind: "update" };
      await expect(
        sendUpdate(outsider, member, update, new Uint8Array(1000), { deadlineMs: Date.now() + 3000 }),
      ).rejects.toMatchObject({ code: "NotDelivered", cause: { code: "Refused" } });
      const data = await dataBlocks(path.join(folder, "requester"));
      const boss = await keystoreAddress(network.requester.keystore);
      await expect(fetchBlock(outsider, boss, data[0]!)).rejects.toMatchObject({ code: "Refused" });

      for (const round of [1, 2]) await endCommits({ network, chain, jobId }, round, 3);
      const summary = (await requester.event("summary", 150_000)) as unknown as SummaryEvent;
      expect(overheard).toEqual([]);
      expect(outsider.traffic().dropped.notForUs).toBeGreaterThan(0);
      await outsider.stop();

      expect(await watched).toMatchObject({ phase: "SETTLED", outcome: "COMPLETED" });
      for (const name of ["Joined", "Assigned", "Merged", "RoundEnded", "Settled"]) await watch.event(name);
      expect(victim.process.signalCode).toBe("SIGKILL");
      expect(summary).toMatchObject({ outcome: "COMPLETED", rounds: 3, statesIdentical: true });
      expect(summary.testAccuracy).toBeGreaterThan(0.5);
      expect(BigInt(summary.budget)).toBe(BigInt(summary.paid) + BigInt(summary.refunded) + BigInt(summary.burned));
      // 4 + 3 + 3 worker-rounds and three merge fees; the rest returns to the requester.
      expect(BigInt(summary.paid)).toBe(10n * 10_000_000n + 3n * 500_000n);
      expect(BigInt(summary.refunded)).toBe(2n * 10_000_000n);

      // Batches of 128 x 784 bytes, each at most once; the updates of the others in three rounds, the model.
      for (const finished of await traffic) {
        const received = finished.receivedBytes as number;
        const batches = finished.fetchedBatches as number;
        expect(batches).toBeGreaterThan(10);
        expect(received).toBeGreaterThan(batches * 128 * 784);
        expect(received).toBeLessThan(batches * 128 * 784 * 1.1 + 16_000_000);
      }
      await expectSameScore(summary, path.dirname(job));
      const html = await fs.readFile(summary.reportFile, "utf8");
      expect(html).toContain("<svg");
      expect(html).not.toMatch(/https?:\/\//);
    },
  );

  it("refunds everybody when too few workers join in time", { timeout: 60_000 }, async () => {
    const job = await writeSmallJob(path.join(network.folder, "few"), { workers: 8, windows: { join: 120 } });
    const requester = network.train(job);
    const { jobId } = (await requester.event("posted")) as { jobId: Hex };
    const joined = async () => (await chain.job(jobId)).state.workers.length;
    await expect.poll(joined).toBeGreaterThan(0);
    await network.pass(120);
    const summary = (await requester.event("summary")) as unknown as SummaryEvent;
    expect(summary).toMatchObject({ outcome: "EXPIRED", paid: "0", burned: "0" });
    expect(summary.refunded).toBe(summary.budget);
  });
});

/** CIDs of the encrypted batches in a requester's store: its largest blocks but the model. */
async function dataBlocks(requesterDir: string): Promise<string[]> {
  const job = (await filesIn(path.join(requesterDir, "jobs"))).find((name) => name.endsWith("job.json"))!;
  const posted = JSON.parse(await fs.readFile(path.join(requesterDir, "jobs", job), "utf8")) as {
    manifestCid: string;
    dataRoot: Hex;
  };
  const { openBlockStore, parseManifest } = await import("@skynet/storage");
  const store = await openBlockStore(path.join(requesterDir, "blocks"));
  return [...parseManifest((await store.get(posted.manifestCid))!, posted.dataRoot).cids];
}

/** Plain ONNX Runtime, fed with (byte - 73) / 256, scores exactly as the summary says. */
async function expectSameScore(summary: SummaryEvent, folder: string): Promise<void> {
  const images = await idxBytes(path.join(folder, "t10k-images-idx3-ubyte.gz"));
  const labels = await idxBytes(path.join(folder, "t10k-labels-idx1-ubyte.gz"));
  const session = await InferenceSession.create(await fs.readFile(summary.modelFile));
  const input = new Tensor(
    "float32",
    Float32Array.from(images, (byte) => (byte - 73) / 256),
    [1000, 784],
  );
  const output = await session.run({ [session.inputNames[0]!]: input });
  const logits = output[session.outputNames[0]!]!.data as Float32Array;
  let correct = 0;
  for (let i = 0; i < 1000; i++) {
    const row = logits.subarray(10 * i, 10 * i + 10);
    if (row.indexOf(Math.max(...row)) === labels[i]) correct++;
  }
  expect(correct / 1000).toBe(summary.testAccuracy);
}
