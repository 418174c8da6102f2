// Admission to a job and its group keys: real nodes, a real relay, real blocks.
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import {
  createDelivery,
  createGroupKey,
  createHost,
  createIdentity,
  createMemoryPartials,
  createMemoryStore,
  fetchBlock,
  hostChannel,
  serveBlocks,
  unwrapKey,
  type Delivery,
  type Host,
} from "@skynet/network";
import { decode, type Hex } from "@skynet/protocol";
import { openBlockStore } from "@skynet/storage";
import { openSecrets, publishSecrets, SwarmError, type ChannelMessage, type JobNetwork } from "@skynet/swarm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BlockAccess } from "./block-access.ts";
import { JobCircle } from "./job-circle.ts";
import { createJobNetwork, fetchKeys, jobBlocks, jobTopic } from "./job-network.ts";

const jobId: Hex = `0x${"0b".repeat(32)}`;
const otherJob: Hex = `0x${"0c".repeat(32)}`;
const stop = new AbortController();
let folder = "";
let relay: Host;
let requester: Member;
let alice: Member;
let bob: Member;
/** Loses its seat. */
let carol: Member;
/** Has never had one. */
let outsider: Member;

interface Member {
  readonly host: Host;
  readonly network: JobNetwork;
  readonly circle: JobCircle;
  readonly access: BlockAccess;
  readonly delivery: Delivery;
  readonly blocks: ReturnType<typeof jobBlocks>;
  readonly heard: ChannelMessage[];
  /** Messages as they are on the wire. */
  readonly wire: Uint8Array[];
  /** Updates that it accepted. */
  readonly updates: Hex[];
  /** What it warned of. */
  readonly warnings: Record<string, unknown>[];
}

async function member(n: number): Promise<Member> {
  const identity = createIdentity(new Uint8Array(32).fill(n));
  const warnings: Record<string, unknown>[] = [];
  const none = () => undefined;
  const log = { debug: none, info: none, warn: (fields: Record<string, unknown>) => void warnings.push(fields) };
  const host = await createHost({ identity, relays: relay.multiaddrs(), log });
  const store = await openBlockStore(path.join(folder, String(n)));
  const access = new BlockAccess();
  const heard: ChannelMessage[] = [];
  const wire: Uint8Array[] = [];
  const updates: Hex[] = [];
  const circle = new JobCircle({ jobId, self: identity.address, maxUpdateBytes: 1000, keepOldMs: 300 });
  const delivery = await createDelivery({ channel: hostChannel(host), identity, store: createMemoryStore() });
  const network = await createJobNetwork(
    { host, access, delivery, blocks: store, partials: createMemoryPartials(2 ** 22) },
    circle,
    stop.signal,
  );
  serveBlocks(host, { allow: (peer, cid) => access.allows(peer, cid), get: (cid) => store.get(cid) });
  network.onMessage(async (message) => void heard.push(message));
  network.onUpdate(
    () => true,
    async (from) => void updates.push(from),
  );
  host.tap((bytes) => wire.push(bytes));
  await host.connected({ signal: AbortSignal.timeout(30_000) });
  const blocks = jobBlocks({ blocks: store, access }, jobId);
  return { host, network, circle, access, delivery, blocks, heard, wire, updates, warnings };
}

/** Says something to members. @returns those that confirmed it */
const say = (who: Member, to: readonly Member[], kind: string, body: unknown) =>
  who.network.send(to.map(address), kind, body, { deadlineMs: Date.now() + 20_000, signal: stop.signal });

const address = ({ host }: Member) => host.identity.address;
const all = () => [requester, alice, bob, carol];

/** The requester publishes new keys; everybody sees the membership on chain. */
async function rotate(epoch: number, members: readonly Member[]) {
  const secrets = { epoch, groupKey: createGroupKey(), datasetSecret: new Uint8Array(32).fill(9) };
  const recipients = members.map(({ host: { identity } }) => ({
    address: identity.address,
    publicKey: identity.publicKey,
    batches: [1, 2],
  }));
  const cid = await publishSecrets(jobId, secrets, recipients, (block) => requester.blocks.put(block));
  requester.circle.take(epoch, secrets.groupKey);
  const membership = {
    members: [...members, requester].map(address),
    keys: { epoch, cid },
    ready: members.map(address),
  };
  for (const each of all()) each.network.follow(membership);
  return cid;
}

const open = (envelope: Uint8Array, epoch: number, { host: { identity: self } }: Member) =>
  openSecrets(envelope, { jobId, epoch, self, needed: [1, 2], fetchList: () => Promise.reject(new Error("inline")) });

async function takeKeys(who: Member, epoch: number, cid: string): Promise<Uint8Array> {
  const envelope = await fetchKeys(
    who.host,
    cid,
    { requester: address(requester), members: [address(alice)] },
    AbortSignal.timeout(20_000),
  );
  const { groupKey } = await open(envelope, epoch, who);
  await who.blocks.put(envelope);
  who.circle.take(epoch, groupKey);
  return groupKey;
}

const bodies = ({ heard }: Member) => heard.map(({ body }) => body);

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-circle-"));
  relay = await createHost({
    identity: createIdentity(new Uint8Array(32).fill(99)),
    relayService: true,
    role: "relay",
  });
  [requester, alice, bob, carol, outsider] = (await Promise.all([1, 2, 3, 4, 5].map(member))) as [
    Member,
    Member,
    Member,
    Member,
    Member,
  ];
  const cid = await rotate(0, [alice, bob, carol]);
  for (const worker of [alice, bob, carol]) await takeKeys(worker, 0, cid);
}, 60_000);
afterAll(async () => {
  stop.abort();
  await Promise.all([...all(), outsider].map(({ host }) => host.stop()).concat(relay.stop()));
  await fs.rm(folder, { recursive: true, force: true });
});

describe("while everybody is a member", () => {
  it("members hear each other; an outsider hears bytes that it cannot open", async () => {
    const others = [requester, bob, carol];
    expect(await say(alice, others, "ready", "to all")).toEqual(others.map(address));
    for (const who of others) expect(bodies(who)).toEqual(["to all"]);
    await expect.poll(() => outsider.wire.length).toBeGreaterThan(0);
    expect(bodies(outsider)).toEqual([]);
  });

  it("what a member refuses is not counted as heard, and the sender's log says who and why", async () => {
    bob.network.onMessage(async () => {
      throw new SwarmError("BadMessage", "not a message of this version");
    });
    expect(await say(alice, [bob, carol], "attest", "refused by one")).toEqual([address(carol)]);
    expect(alice.warnings).toContainEqual({
      to: address(bob),
      kind: "attest",
      code: "Rejected",
      reason: expect.stringContaining("not a message of this version") as string,
    });
    bob.network.onMessage(async (message) => void bob.heard.push(message));
  });

  it("what goes wrong on a member's own disk is in its log, and is not told to the sender of an update", async () => {
    alice.network.onUpdate(
      () => true,
      async () => {
        throw new Error("EACCES: permission denied, open '/home/alice/jobs/7'");
      },
    );
    const sent = bob.network.sendUpdate(address(alice), 0, new Uint8Array(9), { deadlineMs: Date.now() + 4000 });
    const error = await sent.then(String, String);
    expect(error).toContain("this node failed to check it");
    expect(error).not.toContain("/home");
    expect(alice.warnings.some((fields) => String(fields.error).includes("EACCES"))).toBe(true);
    alice.network.onUpdate(
      () => true,
      async (from) => void alice.updates.push(from),
    );
  });

  it("blocks go to members of the job that they belong to, streams of updates to members only", async () => {
    const cid = await alice.blocks.put(new TextEncoder().encode("weights"));
    await expect(fetchBlock(bob.host, address(alice), cid)).resolves.toHaveLength(7);
    await expect(fetchBlock(outsider.host, address(alice), cid)).rejects.toMatchObject({ code: "Refused" });
    // A member of another job of this node gets that job's blocks, and no others.
    alice.access.setMembers(otherJob, [address(outsider)]);
    await expect(fetchBlock(outsider.host, address(alice), cid)).rejects.toMatchObject({ code: "Refused" });
    alice.access.addBlocks(otherJob, [cid]);
    await expect(fetchBlock(outsider.host, address(alice), cid)).resolves.toHaveLength(7);
    alice.access.removeJob(otherJob);
    await expect(fetchBlock(outsider.host, address(alice), cid)).rejects.toMatchObject({ code: "Refused" });
    const sent = outsider.network.sendUpdate(address(alice), 0, new Uint8Array(9), { deadlineMs: Date.now() + 600 });
    await expect(sent).rejects.toMatchObject({ code: "NotDelivered" });
    expect(alice.updates).toEqual([]);
  });

  it("who has the outsider's connection cannot speak for a member: the signature decides, and the group key", async () => {
    const before = alice.host.traffic().dropped;
    const message = { kind: "ready", job: jobId, body: "forged" };
    await outsider.host.publish(jobTopic(jobId), message);
    await outsider.host.publish(jobTopic(jobId), message, { groupKey: createGroupKey() });
    // With the right key, which it cannot have: the sender is still no member.
    await outsider.host.publish(jobTopic(jobId), message, { groupKey: carol.circle.speakingKey()! });
    const count = (reason: "unencrypted" | "notForUs" | "unknownSender") =>
      (alice.host.traffic().dropped[reason] ?? 0) - (before[reason] ?? 0);
    await expect.poll(() => [count("unencrypted"), count("notForUs"), count("unknownSender")]).toEqual([1, 1, 1]);
    expect(bodies(alice)).not.toContain("forged");
  });
});

describe("after a member lost its seat", () => {
  let cid = "";
  let oldKey: Uint8Array;

  beforeAll(async () => {
    oldKey = Uint8Array.from(carol.circle.speakingKey()!);
    cid = await rotate(1, [alice, bob]);
  });

  it("nobody speaks in the old key any more, also before the new one is here", async () => {
    expect(alice.circle.speakingKey()).toBeUndefined();
    const before = carol.wire.length;
    const said = say(alice, [bob, carol], "attest", "waits for the key");
    await expect.poll(() => alice.delivery.counters().waiting).toBe(1);
    expect(carol.wire).toHaveLength(before);
    await takeKeys(alice, 1, cid);
    await takeKeys(bob, 1, cid);
    expect(await said, "who has lost its seat is not waited for").toEqual([address(bob)]);
    expect(bodies(bob)).toContain("waits for the key");
    expect(bodies(carol)).not.toContain("waits for the key");
  });

  it("it hears what is published and cannot open it, nor the published keys", async () => {
    const before = carol.wire.length;
    const notForUs = carol.host.traffic().dropped.notForUs ?? 0;
    expect(await say(bob, [requester], "attest", "secret")).toEqual([address(requester)]);
    await expect.poll(() => carol.wire.length).toBeGreaterThan(before);
    await expect.poll(() => carol.host.traffic().dropped.notForUs ?? 0).toBeGreaterThan(notForUs);
    expect(carol.circle.openingKeys()).toEqual([]);
    // Also not with the key that it kept.
    const kept: unknown[] = [];
    const options = { groupKey: () => [oldKey] };
    const end = carol.host.subscribe(jobTopic(jobId), ({ body }) => void kept.push(body), options);
    expect(await say(bob, [requester], "attest", "secret again")).toEqual([address(requester)]);
    await expect.poll(() => carol.wire.length).toBeGreaterThan(before + 1);
    end();
    expect(kept).toEqual([]);

    const envelope = (await requester.blocks.get(cid))!;
    await expect(open(envelope, 1, carol)).rejects.toMatchObject({ code: "BadKeys" });
    for (const { group } of (decode(envelope) as { boxes: { group: Uint8Array }[] }).boxes)
      expect(() => unwrapKey(group, carol.host.identity, `skynet/1/keys/${jobId}/1`)).toThrow(
        expect.objectContaining({ code: "CannotDecrypt" }),
      );
  });

  it("nobody hears or serves it, although it still has the old key and an open connection", async () => {
    const block = await alice.blocks.put(new TextEncoder().encode("new weights"));
    await expect(fetchBlock(bob.host, address(alice), block)).resolves.toHaveLength(11);
    await expect(fetchBlock(carol.host, address(alice), block)).rejects.toMatchObject({ code: "Refused" });
    const dropped = () => {
      const { unknownSender = 0, notForUs = 0 } = alice.host.traffic().dropped;
      return unknownSender + notForUs;
    };
    const before = dropped();
    await carol.host.publish(jobTopic(jobId), { kind: "attest", job: jobId, body: "still here" }, { groupKey: oldKey });
    await expect.poll(dropped).toBe(before + 1);
    expect(bodies(alice)).not.toContain("still here");
    const sent = carol.network.sendUpdate(address(alice), 0, new Uint8Array(9), { deadlineMs: Date.now() + 600 });
    await expect(sent).rejects.toMatchObject({ code: "NotDelivered" });
    expect(alice.updates).toEqual([]);
  });

  it("members forget the old key after a while", async () => {
    await expect.poll(() => alice.circle.openingKeys().length).toBe(1);
    expect(alice.circle.openingKeys()[0]).not.toEqual(oldKey);
  });

  it("the keys are handed over by members when the requester is gone", async () => {
    await requester.host.stop();
    const fetched = await fetchKeys(
      bob.host,
      cid,
      { requester: address(requester), members: [address(bob), address(alice)] },
      AbortSignal.timeout(20_000),
    );
    expect((await open(fetched, 1, bob)).groupKey).toEqual(bob.circle.speakingKey());
  });
});
