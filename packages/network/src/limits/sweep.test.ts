import { expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import { RELAY_PROTOCOL } from "../host/libp2p-node.ts";
import { identityOf } from "../testing.ts";
import { varint } from "../testing-hostile/bytes.ts";
import { createPeer } from "../testing-hostile/client.ts";

test("when all hold too much together, an address with many connections pays, and nobody is blamed", async () => {
  const KIB = 1024;
  const limits = { buffered: 4096 * KIB };
  const relay = await createHost({ identity: identityOf(99), relayService: true, role: "relay", limits });
  const ending = new AbortController();
  const hold = async (from: string, number: number, bytes: number) => {
    const target = { relay: relay.multiaddrs()[0]!, number, from, signal: ending.signal };
    const connection = await (await createPeer(target)).dial();
    const stream = await connection.newStream(RELAY_PROTOCOL, { signal: AbortSignal.timeout(30_000) });
    stream.send(varint(2000 * KIB));
    stream.send(new Uint8Array(bytes));
    return connection;
  };
  const honest = await hold("127.0.9.1", 1, 1500 * KIB);
  const crowd = await Promise.all([2, 3, 4].map((number) => hold("127.0.9.2", number, 1000 * KIB)));
  const open = () => crowd.filter(({ status }) => status === "open").length;
  await expect.poll(open, { timeout: 30_000 }).toBe(2);
  expect([honest.status, relay.scores()]).toEqual(["open", []]);
  ending.abort();
  await relay.stop();
});
