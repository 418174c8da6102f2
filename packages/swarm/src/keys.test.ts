import { createIdentity } from "@skynet/network";
import { decode, encode, keccak256, toHex, type Hex } from "@skynet/protocol";
import { describe, expect, it } from "vitest";
import { batchSecret } from "./blinding.ts";
import { batchesOfJob, batchesOfRound } from "./dataset-plan.ts";
import { openSecrets, publishSecrets, type KeyRecipient } from "./keys.ts";
import { randomOf } from "./simulation.ts";

const jobId: Hex = `0x${"0a".repeat(32)}`;
const identities = [1, 2, 3].map((fill) => createIdentity(new Uint8Array(32).fill(fill)));
const [alice, bob, carol] = identities as [(typeof identities)[0], (typeof identities)[0], (typeof identities)[0]];
const secrets = { epoch: 1, groupKey: new Uint8Array(32).fill(5), datasetSecret: new Uint8Array(32).fill(6) };

/** The chain's answer to what is where: every block that was published. */
async function publish(members: readonly KeyRecipient[], maxInlineBytes?: number) {
  const blocks = new Map<string, Uint8Array>();
  const put = async (block: Uint8Array) => {
    const cid = toHex(keccak256(block));
    blocks.set(cid, block);
    return cid;
  };
  const cid = await publishSecrets(jobId, secrets, members, put, maxInlineBytes);
  return { envelope: blocks.get(cid)!, blocks };
}
const member = ({ address, publicKey }: typeof alice, ...batches: number[]) => ({ address, publicKey, batches });
const options = (self: typeof alice, ...needed: number[]) => ({
  jobId,
  epoch: 1,
  self,
  needed,
  fetchList: (cid: string): Promise<Uint8Array> => Promise.reject(new Error(`no block ${cid} was expected`)),
});
const badKeys = (text: RegExp) => ({ code: "BadKeys", message: expect.stringMatching(text) as string });

describe("the published keys of a job", () => {
  it("give each worker the group key and the secrets of its batches, and of no others", async () => {
    const { envelope } = await publish([member(alice, 4, 1, 9), member(bob, 9, 2)]);
    const opened = await openSecrets(envelope, options(alice, 1, 4, 9));
    expect(opened.groupKey).toEqual(secrets.groupKey);
    expect([...opened.batches]).toEqual([4, 1, 9].map((i) => [i, batchSecret(secrets.datasetSecret, i)]));
    expect([...(await openSecrets(envelope, options(bob))).batches.keys()]).toEqual([9, 2]);
    // Nothing of the dataset's secret, nor of any batch, can be read in what is public.
    for (const secret of [secrets.datasetSecret, ...[1, 2, 4, 9].map((i) => batchSecret(secrets.datasetSecret, i))])
      expect(toHex(envelope)).not.toContain(toHex(secret).slice(2));
  });

  it("are refused when they lack a batch that the worker needs", async () => {
    const { envelope } = await publish([member(alice, 1, 2)]);
    await expect(openSecrets(envelope, options(alice, 1, 2, 7, 8))).rejects.toMatchObject(
      badKeys(/lack 2 of the 4 batches of this worker, such as 7/),
    );
  });

  it("are refused by whom they are not for, in another epoch or job, and when they were changed", async () => {
    const { envelope } = await publish([member(alice, 1), member(bob, 2)]);
    await expect(openSecrets(envelope, options(carol))).rejects.toMatchObject(badKeys(/not for this worker/));
    await expect(openSecrets(envelope, { ...options(alice), epoch: 2 })).rejects.toMatchObject(badKeys(/malformed/));
    const otherJob = { ...options(alice), jobId: `0x${"0b".repeat(32)}` as const };
    await expect(openSecrets(envelope, otherJob)).rejects.toMatchObject({ code: "CannotDecrypt" });
    const { boxes, ...rest } = decode(envelope) as { boxes: Record<string, unknown>[] };
    const [first, second] = boxes as [Record<string, unknown>, Record<string, unknown>];
    // Another member's list, and another member's key.
    const swapped = [
      { ...first, lists: second.lists },
      { ...first, key: second.key },
    ];
    for (const box of swapped)
      await expect(openSecrets(encode({ ...rest, boxes: [box] }), options(alice))).rejects.toMatchObject({
        code: expect.stringMatching(/BadKeys|CannotDecrypt/) as string,
      });
    await expect(openSecrets(encode({ boxes: [] }), options(alice))).rejects.toMatchObject(badKeys(/malformed/));
  });

  it("name a block for each list when all together would be too large", async () => {
    const { envelope, blocks } = await publish([member(alice, 1, 2), member(bob, 3)], 100);
    expect(blocks.size).toBe(3);
    const asked: string[] = [];
    const fetchList = async (cid: string) => {
      asked.push(cid);
      return blocks.get(cid)!;
    };
    const opened = await openSecrets(envelope, { ...options(alice, 1, 2), fetchList });
    expect([...opened.batches.keys()]).toEqual([1, 2]);
    expect(asked).toHaveLength(1);
    const bobs = [...blocks.keys()].find((cid) => !asked.includes(cid) && blocks.get(cid) !== envelope)!;
    await expect(
      openSecrets(envelope, { ...options(alice, 1, 2), fetchList: async () => blocks.get(bobs)! }),
    ).rejects.toMatchObject(badKeys(/does not open/));
  });

  it("of many batches fit into blocks", async () => {
    const all = Array.from({ length: 70_000 }, (_, i) => i);
    const { envelope, blocks } = await publish([{ ...member(alice), batches: all }]);
    expect(blocks.size).toBe(3);
    const fetchList = async (cid: string) => blocks.get(cid)!;
    const opened = await openSecrets(envelope, { ...options(alice), needed: all, fetchList });
    expect(opened.batches.get(69_999)).toEqual(batchSecret(secrets.datasetSecret, 69_999));
    for (const block of blocks.values()) expect(block.length).toBeLessThan(4 * 1024 * 1024);
  });
});

describe("batches of a worker", () => {
  const terms = { jobSeed: `0x${"1c".repeat(32)}` as Hex, steps: 8, nBatches: 500, rounds: 5 };

  it("are those of all its rounds, each once", () => {
    const found = batchesOfJob(terms, alice.address);
    const rounds = [0, 1, 2, 3, 4].flatMap((round) => batchesOfRound(terms, alice.address, round));
    expect(new Set(found)).toEqual(new Set(rounds));
    expect(found).toHaveLength(new Set(rounds).size);
    expect(found).not.toEqual(batchesOfJob(terms, bob.address));
    expect(batchesOfJob({ ...terms, nBatches: 3 }, alice.address).toSorted()).toEqual([0, 1, 2]);
  });
});

describe("secrets of batches", () => {
  const hex = (secret: Uint8Array) => toHex(secret).slice(2);

  it("follow from the dataset's secret and the index by the documented formula", () => {
    const index = new Uint8Array(32);
    index.set([1, 2], 30);
    const tag = keccak256(new TextEncoder().encode("skynet/1/batch"));
    expect(batchSecret(secrets.datasetSecret, 258)).toEqual(keccak256(tag, secrets.datasetSecret, index));
  });

  it("are independent: all differ, and one bit of secret or index changes half of the bits", () => {
    const random = randomOf(3);
    const found = new Set<string>();
    let changed = 0;
    const samples = 300;
    for (let i = 0; i < samples; i++) {
      const dataset = Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256));
      const index = Math.floor(random() * 65_536);
      const secret = batchSecret(dataset, index);
      const bit = Math.floor(random() * 256);
      const others = [
        batchSecret(dataset.with(bit >> 3, dataset[bit >> 3]! ^ (1 << (bit & 7))), index),
        batchSecret(dataset, index ^ (1 << (bit & 15))),
        // Who knows one secret cannot use it as the dataset's.
        batchSecret(secret, index),
      ];
      for (const other of others) {
        found.add(hex(other));
        changed += other.reduce((sum, byte, at) => sum + bitsOf(byte ^ secret[at]!), 0);
      }
      found.add(hex(secret));
    }
    expect(found.size).toBe(4 * samples);
    // 230,400 bits: a standard deviation is 0.1 %.
    expect(Math.abs(changed / (3 * samples * 256) - 0.5)).toBeLessThan(0.005);
  });
});

const bitsOf = (byte: number): number => byte.toString(2).replaceAll("0", "").length;
