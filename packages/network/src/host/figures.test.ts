// What a host tells about its work, and what it announces.
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNetwork, type TestNetwork } from "../testing.ts";

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork();
});
afterAll(() => network.stop());

test("connections are known by transport, direction and peer", async () => {
  const node = await network.node(1);
  const { relay } = network;
  expect(node.connections()).toMatchObject([
    { peer: relay.identity.address, kind: "tcp", direction: "outbound", remote: expect.stringMatching(/127\.0\.0\.1/) },
  ]);
  expect(relay.connections()).toMatchObject([{ peer: node.identity.address, kind: "tcp", direction: "inbound" }]);
});

test("streams are counted by protocol and side, also those that failed later", async () => {
  const [server, client] = await Promise.all([network.node(2), network.node(3)]);
  await server.serve("/test/count/1", async (stream) => void (await stream.read(10)));
  for (let i = 0; i < 3; i++) {
    const stream = await client.openStream(server.identity.address, "/test/count/1");
    await stream.close();
  }
  await expect.poll(() => server.traffic().streams["/test/count/1"]).toEqual({ inbound: 3, outbound: 0 });
  expect(client.traffic().streams["/test/count/1"]).toEqual({ inbound: 0, outbound: 3 });
});

test("libp2p's own figures are kept, by name and label", async () => {
  const samples = await network.relay.metrics();
  const sample = (name: string) => samples.find((one) => one.name === name);
  const connections = sample("libp2p_connection_manager_connections")!;
  expect(connections).toMatchObject({ type: "gauge", label: "kind" });
  expect(connections.values.inbound).toBe(network.relay.connections().length);
  expect(sample("libp2p_tcp_inbound_connections_total")?.values).toBeDefined();
});

test("announced addresses replace those that the node listens on", async () => {
  const address = "/dns4/relay.example.org/tcp/443/wss";
  const node = await network.node(4, { announce: [address] });
  expect(node.multiaddrs()).toEqual([`${address}/p2p/${node.identity.peerId.toString()}`]);
  const { address: name } = node.identity;
  await expect.poll(() => network.relay.directory.get(name)?.multiaddrs).toEqual(node.multiaddrs());
});
