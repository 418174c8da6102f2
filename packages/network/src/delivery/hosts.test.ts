// Delivery over real hosts and a relay in a process of its own.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import { openSqliteDeliveryStore } from "../node/sqlite-delivery-store.ts";
import type { Identity } from "../identity/identity.ts";
import { identityOf, until } from "../testing.ts";
import { createDelivery, type Delivery, type JobChannel } from "./delivery.ts";
import { hostChannel, publicKeyFrom } from "./host-channel.ts";
import { encodeFrame, hashOf, parseFrame, type Frame } from "./frame.ts";
import type { DeliveredMessage } from "./intake.ts";
import { signConfirmation, verifyDeliveryReceipt } from "./receipt.ts";

/** Each case has nodes of its own, of which nothing stays, whatever becomes of the case. */
let cases = 0;
let [ALICE, BOB, EVE] = [identityOf(1), identityOf(2), identityOf(3)];
const MEMBERS = new Set<string>();
const running = new Set<Member>();
const GROUP_KEY = new Uint8Array(32).fill(9);

interface Member {
  readonly host: Host;
  readonly delivery: Delivery;
  readonly job: JobChannel;
  readonly heard: DeliveredMessage[];
  stop(): Promise<void>;
}

let folder: string;
let relay: ChildProcess;
let address: string;

async function startRelay(port = 0): Promise<void> {
  const program = path.join(import.meta.dirname, "..", "testing-relay.ts");
  relay = fork(program, ["201"], { execArgv: [], env: { ...process.env, PORT: String(port) } });
  const [{ multiaddrs }] = (await once(relay, "message")) as [{ multiaddrs: string[] }];
  address = multiaddrs[0]!;
}

async function start(identity: Identity): Promise<Member> {
  const host = await createHost({ identity, relays: [address] });
  const store = openSqliteDeliveryStore(path.join(folder, `${identity.address}.sqlite`));
  const { drops, log, random } = host;
  const publicKeyOf = publicKeyFrom(host);
  const delivery = await createDelivery({
    channel: hostChannel(host),
    identity,
    store,
    publicKeyOf,
    drops,
    log,
    random,
  });
  const heard: DeliveredMessage[] = [];
  const handler = (message: DeliveredMessage) => void heard.push(message);
  const isMember = (one: string) => MEMBERS.has(one);
  delivery.listen(handler);
  const job = delivery.join({
    job: "0x0a",
    topic: "job-0a",
    openingKeys: () => [GROUP_KEY],
    speakingKey: () => GROUP_KEY,
    isMember,
    handler,
  });
  const stop = async () => {
    if (!running.delete(member)) return;
    await delivery.stop();
    await host.stop();
    store.close();
  };
  const member = { host, delivery, job, heard, stop };
  running.add(member);
  await host.connected({ signal: AbortSignal.timeout(30_000) });
  return member;
}

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-delivery-"));
  await startRelay();
});
beforeEach(() => {
  cases += 1;
  [ALICE, BOB, EVE] = [identityOf(10 * cases + 1), identityOf(10 * cases + 2), identityOf(10 * cases + 3)];
  MEMBERS.add(ALICE.address).add(BOB.address);
});
afterEach(async () => {
  await Promise.all([...running].map((member) => member.stop()));
  MEMBERS.clear();
  if (relay.exitCode !== null || relay.signalCode !== null) await startRelay();
});
afterAll(async () => {
  relay.kill("SIGKILL");
  await fs.rm(folder, { recursive: true, force: true });
});

const bodies = ({ heard }: Member) => heard.map(({ body }) => body);
const quiet = (promise: Promise<unknown>) => void promise.catch(() => undefined);

test("a receiver that was offline gets all of it from the relay's history while the sender is away; then come the receipts", async () => {
  let [alice, bob] = [await start(ALICE), await start(BOB)];
  const first = await alice.delivery.send(BOB.address, "hello", "sealed");
  expect(verifyDeliveryReceipt(first)).toMatchObject({ receiver: BOB.address, job: null, seq: 1 });
  expect((await alice.job.send(BOB.address, "hello", 0)).job).toBe("0x0a");
  await bob.stop();
  for (let i = 1; i <= 20; i++) quiet(alice.job.send(BOB.address, "count", i));
  await until(() => alice.delivery.counters().sent - alice.delivery.counters().repeated >= 22);
  await alice.stop();
  bob = await start(BOB);
  await until(() => bob.heard.length === 20, 60_000);
  expect(bodies(bob)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  alice = await start(ALICE);
  await until(() => alice.delivery.counters().waiting === 0, 60_000);
  expect(await alice.delivery.receipts({ job: "0x0a" })).toHaveLength(21);
  expect(bob.heard, "handled once").toHaveLength(20);
}, 180_000);

test("the relay is killed and comes back: what was said meanwhile arrives once, in order, with receipts", async () => {
  const [alice, bob] = [await start(ALICE), await start(BOB)];
  await alice.job.send(BOB.address, "count", 0);
  const port = Number(/\/tcp\/(\d+)/.exec(address)![1]!);
  relay.kill("SIGKILL");
  await once(relay, "exit");
  await until(() => alice.host.reachability().live === 0);
  const sent = [1, 2, 3, 4, 5].map((i) => alice.job.send(BOB.address, "count", i));
  const back = bob.job.send(ALICE.address, "back", "too");
  await startRelay(port);
  const receipts = await Promise.all([...sent, back]);
  for (const receipt of receipts) verifyDeliveryReceipt(receipt);
  expect(bodies(bob)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(bodies(alice)).toEqual(["too"]);
}, 120_000);

test("a relay sees neither kind nor body, and no address in a topic", async () => {
  const [alice, bob] = [await start(ALICE), await start(BOB)];
  const seen: string[] = [];
  const end = bob.host.tap((bytes) => void seen.push(Buffer.from(bytes).toString("latin1")));
  await alice.delivery.send(BOB.address, "secret-kind", { secret: "secret-body" });
  await alice.job.send(BOB.address, "secret-kind", { secret: "secret-body" });
  end();
  const text = seen.join("");
  expect(text.length).toBeGreaterThan(500);
  for (const word of ["secret", "delivery", BOB.address.slice(2)]) expect(text).not.toContain(word);
});

test("confirmations that a third node forges, or repeats, settle nothing", async () => {
  const [alice, bob] = [await start(ALICE), await start(BOB)];
  MEMBERS.add(EVE.address);
  const { host: mallory } = await start(EVE);
  const frames: Frame[] = [];
  const options = { groupKey: GROUP_KEY };
  // The relay's history has what earlier cases said.
  mallory.subscribe("job-0a", ({ body }) => void frames.push(parseFrame(body)), {
    groupKey: () => [GROUP_KEY],
    allow: (from) => MEMBERS.has(from),
  });
  await alice.job.send(BOB.address, "count", "confirmed");
  await until(() => frames.some(({ acks }) => acks.some(({ got }) => got.length > 0)));
  const genuine = frames.flatMap(({ acks }) => acks).find(({ got }) => got.length > 0)!;
  await bob.stop();
  const before = (await alice.delivery.receipts()).length;
  const outcome = alice.job.send(BOB.address, "count", "open", { timeoutMs: 6000 }).catch((error: Error) => error);
  const open = () => frames.find(({ to }) => to.some(({ seq }) => seq > genuine.upTo));
  await until(() => open() !== undefined);
  const { content, to } = open()!;
  const { seq, session } = to.find(({ seq }) => seq > genuine.upTo)!;
  const got = [{ seq, hash: hashOf(content) }];
  const later = { ...genuine, order: genuine.order + 1000, upTo: seq };
  const stream = { job: "0x0a", sender: ALICE.address, session };
  const forged = [
    { ...later, got, signature: signConfirmation(stream, got, EVE) },
    { ...later, got },
    { ...later, got: [], signature: new Uint8Array(), refused: [{ seq, reason: "not wanted" }] },
    genuine,
  ];
  for (const ack of forged) {
    const body = encodeFrame({ to: [], content: new Uint8Array(), acks: [ack] });
    await mallory.publish("job-0a", { kind: "delivery", job: "0x0a", body }, options);
  }
  expect(await outcome).toMatchObject({ code: "NotDelivered" });
  expect(await alice.delivery.receipts()).toHaveLength(before);
}, 120_000);
