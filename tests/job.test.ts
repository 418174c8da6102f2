import fs from "node:fs/promises";
import path from "node:path";
import { createHost, createIdentity, fetchBlock, sendUpdate } from "@skynet/network";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { readIdx } from "@skynet/storage";
import type { Hex } from "@skynet/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";
import { writeSmallJob } from "./support/small-job.ts";

let network: TestNetwork | undefined;
afterEach(async () => {
  await network?.close();
  network = undefined;
}, 60_000);

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

async function summaryOf(child: { event(name: string, timeoutMs?: number): Promise<Record<string, unknown>> }) {
  return (await child.event("summary", 110_000)) as unknown as SummaryEvent;
}

function expectBalanced(summary: SummaryEvent): void {
  expect(BigInt(summary.budget)).toBe(BigInt(summary.paid) + BigInt(summary.refunded) + BigInt(summary.burned));
}

/** Files that lie in a folder, with their sizes. */
async function filesIn(folder: string): Promise<string[]> {
  return (await fs.readdir(folder, { recursive: true }).catch(() => [])).map(String);
}

describe("a job on a local network of processes", () => {
  it(
    "is trained, paid and delivered; workers get everything over sockets; strangers see nothing",
    { timeout: 120_000 },
    async () => {
      network = await startTestNetwork(3);
      const { folder } = network;
      const traffic = Promise.all(network.workers.map((worker) => worker.event("finished", 110_000)));
      const job = await writeSmallJob(path.join(folder, "job"));

      const outsider = await createHost({ identity: createIdentity(network.outsiderKey()), relays: [network.relay] });
      const overheard: unknown[] = [];
      await outsider.connected({ signal: AbortSignal.timeout(10_000) });
      const requester = network.train(job);
      const { jobId } = (await requester.event("posted")) as { jobId: Hex };
      outsider.subscribe(`job-${jobId.slice(2)}`, (message) => void overheard.push(message));
      await requester.event("round", 60_000);

      const member = (await network.workers[0]!.event("ready")).address as Hex;
      const update = { job: jobId, round: 1, kind: "update" };
      await expect(
        sendUpdate(outsider, member, update, new Uint8Array(1000), { deadlineMs: Date.now() + 3000 }),
      ).rejects.toMatchObject({ code: "NotDelivered", cause: { code: "Refused" } });
      const data = await dataBlocks(path.join(folder, "requester"));
      const boss = (await import("@skynet/node")).keystoreAddress(network.requester.keystore);
      await expect(fetchBlock(outsider, await boss, data[0]!)).rejects.toMatchObject({ code: "Refused" });

      const summary = await summaryOf(requester);
      expect(overheard).toEqual([]);
      expect(outsider.traffic().dropped.notForUs).toBeGreaterThan(0);
      await outsider.stop();

      expect(summary).toMatchObject({ outcome: "COMPLETED", rounds: 2, statesIdentical: true });
      expect(summary.testAccuracy).toBeGreaterThan(0.5);
      expectBalanced(summary);
      expect(BigInt(summary.paid)).toBe(6n * 10_000_000n + 2n * 500_000n);

      // 20 batches of 128 x 784 bytes at most, and at least one in its lifetime; two updates of the others, the model.
      for (const finished of await traffic) {
        const received = finished.receivedBytes as number;
        const batches = finished.fetchedBatches as number;
        expect(batches).toBeGreaterThan(10);
        expect(received).toBeGreaterThan(batches * 128 * 784);
        expect(received).toBeLessThan(batches * 128 * 784 * 1.1 + 8_000_000);
      }
      await expectSameScore(summary, path.dirname(job));
      const html = await fs.readFile(summary.reportFile, "utf8");
      expect(html).toContain("<svg");
      expect(html).not.toMatch(/https?:\/\//);
    },
  );

  it(
    "finishes without a worker that is killed in the middle of a round, and does not pay it for what it missed",
    { timeout: 120_000 },
    async () => {
      network = await startTestNetwork(4);
      const job = await writeSmallJob(path.join(network.folder, "job"), {
        workers: 4,
        minimum: 3,
        rounds: 3,
        windows: { commit: 12, prove: 10, merge: 10 },
      });
      const victim = network.workers[2]!;
      const requester = network.train(job);
      victim.onEvent((event) => {
        if (event.event === "training" && event.round === 1) victim.process.kill("SIGKILL");
      });
      const summary = await summaryOf(requester);
      expect(victim.process.signalCode).toBe("SIGKILL");
      expect(summary).toMatchObject({ outcome: "COMPLETED", rounds: 3 });
      expectBalanced(summary);
      // 4 + 3 + 3 worker-rounds and three merge fees; the rest returns to the requester.
      expect(BigInt(summary.paid)).toBe(10n * 10_000_000n + 3n * 500_000n);
      expect(BigInt(summary.refunded)).toBe(2n * 10_000_000n);
    },
  );

  it("refunds everybody when too few workers join in time", { timeout: 60_000 }, async () => {
    network = await startTestNetwork(1);
    const job = await writeSmallJob(path.join(network.folder, "job"), { workers: 3, windows: { join: 6 } });
    const summary = await summaryOf(network.train(job));
    expect(summary).toMatchObject({ outcome: "EXPIRED", paid: "0", burned: "0" });
    expect(summary.refunded).toBe(summary.budget);
  });
});

/** CIDs of the encrypted batches in a requester's store: its largest blocks but the model. */
async function dataBlocks(requesterDir: string): Promise<string[]> {
  const { job } = { job: (await filesIn(path.join(requesterDir, "jobs"))).find((name) => name.endsWith("job.json"))! };
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
  const images = await readIdx(path.join(folder, "t10k-images-idx3-ubyte.gz"));
  const labels = await readIdx(path.join(folder, "t10k-labels-idx1-ubyte.gz"));
  const session = await InferenceSession.create(await fs.readFile(summary.modelFile));
  const input = new Tensor(
    "float32",
    Float32Array.from(images.data, (byte) => (byte - 73) / 256),
    [1000, 784],
  );
  const output = await session.run({ [session.inputNames[0]!]: input });
  const logits = output[session.outputNames[0]!]!.data as Float32Array;
  let correct = 0;
  for (let i = 0; i < 1000; i++) {
    const row = logits.subarray(10 * i, 10 * i + 10);
    if (row.indexOf(Math.max(...row)) === labels.data[i]) correct++;
  }
  expect(correct / 1000).toBe(summary.testAccuracy);
}
