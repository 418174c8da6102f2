// The deadline of an update may pass at any moment. Whatever then fails late has nobody who waits for it, and must not
// end the process.
import net from "node:net";
import { once } from "node:events";
import { multiaddr } from "@multiformats/multiaddr";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { StreamHandler } from "../host/serve.ts";
import type { Host } from "../host/types.ts";
import { identityOf, startNetwork, type TestNetwork } from "../testing.ts";
import { receiveUpdates } from "./receive-updates.ts";
import { sendUpdate } from "./send-update.ts";
import { CHUNK_BYTES, encodeAnswer, MAX_CONTROL_BYTES, UPDATE_PROTOCOL } from "./update-messages.ts";

let network: TestNetwork;
let alice: Host;
let bob: Host;
beforeAll(async () => {
  network = await startNetwork();
  [alice, bob] = (await Promise.all([network.node(1), network.node(2)])) as [Host, Host];
  await alice.connect(bob.identity.address);
});
afterAll(() => network.stop());

const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);
beforeEach(() => void process.on("unhandledRejection", note));
afterEach(async () => {
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off("unhandledRejection", note);
  expect(unhandled.splice(0)).toEqual([]);
});

const id = { job: "0x0a", round: 2, kind: "weights" };
const content = new Uint8Array(3 * CHUNK_BYTES);

/** Updates to `to` whose deadlines pass at all of these moments, milliseconds from now. */
async function expire(afterMs: readonly number[], to = bob.identity.address): Promise<void> {
  const one = (ms: number) =>
    expect(sendUpdate(alice, to, { ...id, round: ms }, content, { deadlineMs: Date.now() + ms })).rejects.toMatchObject(
      {
        code: "NotDelivered",
      },
    );
  await Promise.all(afterMs.map(one));
}
const MOMENTS = Array.from({ length: 60 }, (_, i) => 3 * i);

test("of a receiver that nobody knows", () => expire(MOMENTS.slice(0, 5), identityOf(40).address));

const handlers: Record<string, StreamHandler> = {
  "is silent": () => new Promise(() => undefined),
  "is at work": async (stream) => {
    for (;;) {
      await stream.write(encodeAnswer({ t: "working" }));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
  "takes the offer and closes": async (stream) => void (await stream.read(MAX_CONTROL_BYTES)),
  "breaks off": async (stream) => stream.abort(new Error("gone")),
};
test.for(Object.entries(handlers))("of a receiver that %s", async ([, handler]) => {
  const end = await bob.serve(UPDATE_PROTOCOL, handler);
  await expire(MOMENTS);
  await end();
});

test("of a receiver that verifies for ever, and of one that goes away meanwhile", async () => {
  const carol = await network.node(3);
  const options = { admit: () => true, maxBytes: 2 ** 24, onUpdate: () => new Promise<never>(() => undefined) };
  await receiveUpdates(carol, options);
  await expire(MOMENTS, carol.identity.address);
  const expired = expire(MOMENTS, carol.identity.address);
  await carol.stop();
  await expired;
});

test("while its addresses are dialled, of which none answers", async () => {
  const listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"];
  const dave = await network.node(4, { listen });
  const { address } = dave.identity;
  await alice.directory.find(address);
  const own = dave.multiaddrs().filter((text) => !text.includes("/p2p-circuit"));
  const ports = own.map((text) => Number(multiaddr(text).getComponents()[1]!.value));
  await dave.stop();
  const servers = [...new Set(ports)].map((port) => net.createServer().listen(port, "127.0.0.1"));
  try {
    await Promise.all(servers.map((server) => once(server, "listening")));
    await expire(MOMENTS, address);
    await expire([300, 600, 1600], address);
  } finally {
    for (const server of servers) server.close();
  }
});
