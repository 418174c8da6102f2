import { cidOf, encode, sha256, toHex, type Hex } from "@skynet/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Host } from "../host/types.ts";
import { signReceipt, verifyReceipt } from "./receipt.ts";
import { receiveUpdates, type ReceiveUpdatesOptions, type UpdateHeader } from "./receive-updates.ts";
import { sendUpdate } from "./send-update.ts";
import { startNetwork, type TestNetwork } from "../testing.ts";
import { BLOCK_PROTOCOL } from "./block-messages.ts";
import { CHUNK_BYTES, encodeOffer, parseAnswer, parseOffer, UPDATE_PROTOCOL } from "./update-messages.ts";
import { serveBlocks } from "./blocks.ts";
import { frame } from "../host/framed-stream.ts";

let network: TestNetwork;
let alice: Host;
let bob: Host;
beforeEach(async () => {
  network = await startNetwork();
  [alice, bob] = (await Promise.all([network.node(1), network.node(2)])) as [Host, Host];
  await alice.connect(bob.identity.address);
});
afterEach(() => network.stop());

const id = { job: "0x0a", round: 2, kind: "weights" };
const content = Uint8Array.from({ length: 3 * CHUNK_BYTES + 12_345 }, (_, i) => (i * 31) ^ (i >> 8));
const send = (options: Partial<Parameters<typeof sendUpdate>[4]> = {}, bytes = content, from = alice) =>
  sendUpdate(from, bob.identity.address, id, bytes, { deadlineMs: Date.now() + 20_000, ...options });

const admit = (peer: Hex) => peer === alice.identity.address;

function receive(options: Partial<ReceiveUpdatesOptions> = {}) {
  const onUpdate = vi.fn<(header: UpdateHeader, from: Hex, bytes: Uint8Array) => { ok: true }>(() => ({ ok: true }));
  return { onUpdate, serving: receiveUpdates(bob, { admit, maxBytes: 2 ** 24, onUpdate, ...options }) };
}

test("an update arrives whole and is confirmed by a signed receipt", async () => {
  const { onUpdate } = receive();
  const progress: number[] = [];
  const { receipt, receiptBytes } = await send({ onProgress: ({ sentBytes }) => progress.push(sentBytes) });
  const hash = toHex(await sha256(content));
  const expected = { ...id, hash, sender: alice.identity.address, receiver: bob.identity.address };
  expect(receipt).toEqual(expected);
  expect(verifyReceipt(receiptBytes)).toEqual(expected);
  expect(onUpdate).toHaveBeenCalledOnce();
  const [header, from, bytes] = onUpdate.mock.calls[0]!;
  expect(header).toEqual({ ...id, size: content.length, hash });
  expect(from).toBe(alice.identity.address);
  expect(Buffer.compare(bytes, content)).toBe(0);
  expect(progress.at(-1)).toBe(content.length);
  const again = await send();
  expect(again.receiptBytes).toEqual(receiptBytes);
  expect(onUpdate).toHaveBeenCalledOnce();
});

test("a peer that is not admitted is refused and counted, and nothing reaches the application", async () => {
  const { onUpdate } = receive();
  const eve = await network.node(3);
  const delivery = send({ deadlineMs: Date.now() + 4000 }, content, eve);
  await expect(delivery).rejects.toMatchObject({ code: "NotDelivered", cause: { code: "Refused" } });
  expect(bob.traffic().dropped.refusedUpdate).toBeGreaterThan(0);
  expect(bob.traffic().protocols[UPDATE_PROTOCOL]!.receivedBytes).toBeLessThan(5000);
  expect(onUpdate).not.toHaveBeenCalled();
});

test("an update above the limit is refused before it is sent", async () => {
  receive({ maxBytes: 1000 });
  const delivery = send({ deadlineMs: Date.now() + 1200 });
  await expect(delivery).rejects.toMatchObject({ code: "NotDelivered", cause: { code: "Refused" } });
  expect(bob.traffic().protocols[UPDATE_PROTOCOL]!.receivedBytes).toBeLessThan(5000);
});

test("an update whose connection breaks goes on at the byte where it stopped", async () => {
  const { onUpdate } = receive();
  const arrived = () => bob.traffic().protocols[BLOCK_PROTOCOL]?.receivedBytes ?? 0;
  const delivery = send({ deadlineMs: Date.now() + 60_000 });
  let cut = 0;
  await expect
    .poll(
      async () => {
        if (arrived() < (cut + 1) * 700_000) return cut;
        cut += 1;
        const connection = await bob.connect(alice.identity.address);
        connection.abort(new Error("the line went down"));
        return cut;
      },
      { timeout: 20_000, interval: 1 },
    )
    .toBe(3);
  await delivery;
  expect(Buffer.compare(onUpdate.mock.calls[0]![2], content)).toBe(0);
  expect(arrived()).toBeLessThan(content.length + 20_000);
});

test("an update that the receiver finds wrong is repeated until the deadline, and accepted if it changes its mind", async () => {
  let answers = 0;
  receive({ onUpdate: () => (++answers < 3 ? { ok: false, reason: "the round is not open" } : { ok: true }) });
  await send();
  expect(answers).toBe(3);
  expect(bob.traffic().protocols[UPDATE_PROTOCOL]!.receivedBytes).toBeLessThan(content.length + 5000);
  const other = Uint8Array.of(1, 2, 3);
  answers = -1000;
  const rejected = {
    code: "NotDelivered",
    cause: { code: "Rejected" },
    message: expect.stringContaining("not open") as string,
  };
  await expect(send({ deadlineMs: Date.now() + 1200 }, other)).rejects.toMatchObject(rejected);
});

test("a receiver that fails to verify answers so, and the failure is counted", async () => {
  receive({
    onUpdate: () => {
      throw new Error("out of memory");
    },
  });
  const delivery = send({ deadlineMs: Date.now() + 1200 }, Uint8Array.of(1));
  // What went wrong there stays there.
  const message = expect.not.stringContaining("out of memory") as string;
  await expect(delivery).rejects.toMatchObject({ message, cause: { code: "Rejected" } });
  expect(bob.traffic().dropped.handlerError).toBeGreaterThan(0);
});

test("forged receipts, and receipts for other content, are not believed, and held against the peer", async () => {
  const eve = await network.node(3);
  const patient = await network.node(4, { limits: { banAt: 1000 } });
  for (const [signer, hash] of [
    [eve, await sha256(content)],
    [bob, await sha256(Uint8Array.of(1))],
  ] as const) {
    const receipt = signReceipt({ ...id, hash: toHex(hash), sender: patient.identity.address }, signer.identity);
    const end = await bob.serve(UPDATE_PROTOCOL, async (stream) => {
      parseOffer((await stream.read(65_536))!);
      await stream.write(encode({ t: "receipt", receipt }));
    });
    const delivery = send({ deadlineMs: Date.now() + 4000 }, content, patient);
    await expect(delivery).rejects.toMatchObject({ code: "NotDelivered", cause: { code: "BadReceipt" } });
    await end();
  }
  const held = patient.scores().find(({ peerId }) => peerId === bob.identity.peerId.toString());
  expect(held?.offences.badSignature).toBeGreaterThan(1);
});

test("the deadline ends the attempts: receiver unknown, silent, or already too late", async () => {
  const nobody = sendUpdate(alice, `0x${"12".repeat(20)}`, id, content, { deadlineMs: Date.now() + 200 });
  await expect(nobody).rejects.toMatchObject({ code: "NotDelivered" });
  await bob.serve(UPDATE_PROTOCOL, async (stream) => void (await stream.read(65_536), await stream.read(1)));
  const silent = send({ deadlineMs: Date.now() + 1200, stallMs: 100 });
  await expect(silent).rejects.toMatchObject({ code: "NotDelivered", cause: { code: "Stalled" } });
  await expect(send({ deadlineMs: Date.now() - 1 })).rejects.toMatchObject({ code: "NotDelivered" });
  await expect(send({ signal: AbortSignal.abort(new Error("cancelled")) })).rejects.toThrow("cancelled");
});

test("a receiver that starts late still gets the update", async () => {
  const delivery = send();
  await new Promise((resolve) => setTimeout(resolve, 300));
  receive();
  expect((await delivery).receipt.receiver).toBe(bob.identity.address);
});

test("what cannot be an update is refused at once", async () => {
  const bad = { code: "BadOption" };
  await expect(send({}, new Uint8Array())).rejects.toMatchObject(bad);
  const options = { deadlineMs: Date.now() + 1000 };
  const to = bob.identity.address;
  await expect(sendUpdate(alice, to, { ...id, round: -1 }, content, options)).rejects.toMatchObject(bad);
  await expect(sendUpdate(alice, to, { ...id, job: await cidOf(content) }, content, options)).rejects.toMatchObject(
    bad,
  );
});

test("a sender has one update of a round under way: a newer offer ends the one before, and what it held", async () => {
  const { onUpdate } = receive();
  const fetched = new Set<string>();
  // The first chunk of each update arrives, the others never do.
  const end = serveBlocks(alice, {
    allow: () => true,
    get: async (cid) => {
      const chunk = firstChunks.get(cid);
      if (chunk === undefined) return new Promise<undefined>(() => undefined);
      fetched.add(cid);
      return chunk;
    },
  });
  const firstChunks = new Map<string, Uint8Array>();
  const offer = async (n: number) => {
    const chunk = new Uint8Array(CHUNK_BYTES).fill(n);
    firstChunks.set(await cidOf(chunk), chunk);
    const chunks = new Uint8Array(96).fill(n);
    chunks.set(await sha256(chunk));
    const stream = frame(await alice.openStream(bob.identity.address, UPDATE_PROTOCOL));
    const size = 3 * CHUNK_BYTES;
    await stream.write(encodeOffer({ ...id, size, hash: new Uint8Array(32).fill(n), chunks }));
    return stream;
  };
  const verdict = async (stream: Awaited<ReturnType<typeof offer>>) => {
    for (;;) {
      const answer = parseAnswer((await stream.read(65_536))!);
      if (answer.t !== "working") return answer;
    }
  };
  let before = await offer(1);
  for (let n = 2; n < 8; n++) {
    await expect.poll(() => fetched.size).toBe(n - 1);
    const next = await offer(n);
    expect(await verdict(before)).toEqual({ t: "rejected", reason: expect.stringContaining("newer offer") as string });
    before = next;
  }
  await expect.poll(() => fetched.size).toBe(7);
  end();
  await send();
  expect(onUpdate).toHaveBeenCalledOnce();
  expect(await verdict(before)).toMatchObject({ t: "rejected" });
});
