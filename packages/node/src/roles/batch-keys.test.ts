// What the keys of a worker open, with real encryption: its batches, and nothing else.
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createIdentity } from "@skynet/network";
import { decryptBlock, dataKeyOf, openBlockStore, openDataset, publishDataset } from "@skynet/storage";
import { batchesOfJob, batchSecret, openSecrets, publishSecrets } from "@skynet/swarm";
import { expect, it, onTestFinished } from "vitest";

const BATCHES = 24;
const terms = { jobSeed: `0x${"3d".repeat(32)}` as const, steps: 4, rounds: 3, nBatches: BATCHES };
const jobId = `0x${"0a".repeat(32)}` as const;

it("a worker opens the batches that it trains on, and no key of it opens another", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-batch-keys-"));
  onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
  const blockStore = await openBlockStore(folder);
  onTestFinished(() => blockStore.close());
  const datasetSecret = crypto.getRandomValues(new Uint8Array(32));
  const { manifest, manifestBytes, root } = await publishDataset({
    name: "toy",
    source: {
      count: BATCHES,
      batchSize: 4,
      features: 3,
      batch: async (index) => ({ x: new Int8Array(12).fill(index), y: new Uint8Array(4).fill(index % 3) }),
    },
    classes: 3,
    blockStore,
    recipient: async (index) => (await dataKeyOf(batchSecret(datasetSecret, index))).recipient,
  });
  const workers = [1, 2].map((fill) => createIdentity(new Uint8Array(32).fill(fill)));
  const members = workers.map(({ address, publicKey }) => ({
    address,
    publicKey,
    batches: batchesOfJob(terms, address),
  }));
  const secrets = { epoch: 0, groupKey: new Uint8Array(32).fill(4), datasetSecret };
  const cid = await publishSecrets(jobId, secrets, members, (block) => blockStore.put(block));

  for (const [i, self] of workers.entries()) {
    const needed = members[i]!.batches;
    const fetchList = async () => Promise.reject(new Error("the lists are in the envelope"));
    const envelope = (await blockStore.get(cid))!;
    const { batches } = await openSecrets(envelope, { jobId, epoch: 0, self, needed, fetchList });
    const keys = await Promise.all([...batches.values()].map(dataKeyOf));
    const identityOf = new Map([...batches.keys()].map((index, at) => [index, keys[at]!.identity]));
    const dataset = openDataset({
      manifestBytes,
      expectedRoot: root,
      fetch: async (block) => (await blockStore.get(block))!,
      identity: async (index) => identityOf.get(index)!,
    });
    for (const index of needed) expect((await dataset.batch(index)).x[0]).toBe(index);
    const others = manifest.cids.filter((_, index) => !needed.includes(index));
    expect(others.length).toBeGreaterThan(5);
    for (const block of others)
      for (const { identity } of keys)
        await expect(decryptBlock((await blockStore.get(block))!, identity)).rejects.toMatchObject({
          code: "CannotDecrypt",
        });
  }
});
