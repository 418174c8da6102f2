// What a relay lends to all nodes together, with real hosts: of circuits, of bytes, and of reservations to one machine.
import { afterEach, expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import { frame } from "../host/framed-stream.ts";
import { identityOf, until } from "../testing.ts";
import { circuit } from "../transports/circuit.ts";
import { tcp } from "../transports/tcp.ts";
import type { CircuitLimits } from "./circuit-service.ts";

const ECHO = "/skynet/test/echo/1";
const KIB = 1024;
const hosts: Host[] = [];
afterEach(async () => void (await Promise.all(hosts.splice(0).map((host) => host.stop()))));

async function start(options: Partial<Parameters<typeof createHost>[0]>): Promise<Host> {
  const identity = identityOf(100 + hosts.length);
  const host = await createHost({ identity, transports: [tcp(), circuit()], ...options });
  hosts.push(host);
  return host;
}

const startRelay = (circuits: Partial<CircuitLimits>) =>
  start({ relayService: true, role: "relay", circuits, listen: ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"] });

/** A node behind the relay: nobody can dial it. */
async function hidden(relay: Host, over = "/ip4/"): Promise<Host> {
  const relays = relay.multiaddrs().filter((address) => address.startsWith(over));
  const host = await start({ listen: [], reservations: 1, relays });
  await host.connected({ signal: AbortSignal.timeout(30_000) });
  return host;
}

const reachable = (host: Host) => host.multiaddrs().length > 0;

test("one machine gets so many reservations, whatever identities it has; another one gets its own", async () => {
  const relay = await startRelay({ maxReservationsPerAddress: 2 });
  const first = [await hidden(relay), await hidden(relay)];
  await until(() => first.every(reachable));
  const third = await hidden(relay);
  await until(() => relay.circuits()!.refusedReservations > 0);
  const elsewhere = await hidden(relay, "/ip6/");
  await until(() => reachable(elsewhere));
  expect(reachable(third)).toBe(false);
  expect(relay.circuits()!.reservations).toBe(3);
  expect(relay.scores(), "asking is no offence").toEqual([]);
});

test("all circuits together are limited; one that ends makes room, and who is refused learns why", async () => {
  const relay = await startRelay({ maxCircuits: 2 });
  const target = await hidden(relay);
  await until(() => reachable(target));
  const [address] = target.multiaddrs();
  const callers = [await hidden(relay), await hidden(relay), await hidden(relay)];
  for (const caller of callers.slice(0, 2)) await caller.dial(address!);
  expect(relay.circuits()).toMatchObject({ circuits: 2, refusedCircuits: 0 });
  await expect(callers[2]!.dial(address!)).rejects.toThrow("RESOURCE_LIMIT_EXCEEDED");
  expect(relay.circuits()!.refusedCircuits).toBe(1);
  await callers[0]!.stop();
  await until(() => relay.circuits()!.circuits === 1);
  await callers[2]!.dial(address!);
  expect(relay.circuits()!.circuits).toBe(2);
});

test("circuits of one address cannot take the places of others", async () => {
  const relay = await startRelay({ maxCircuits: 3, maxCircuitsPerNode: 2 });
  const target = await hidden(relay);
  await until(() => reachable(target));
  const [address] = target.multiaddrs();
  const same = [await hidden(relay), await hidden(relay), await hidden(relay)];
  for (const caller of same.slice(0, 2)) await caller.dial(address!);
  await expect(same[2]!.dial(address!)).rejects.toThrow("RESOURCE_LIMIT_EXCEEDED");
  const elsewhere = await hidden(relay, "/ip6/");
  await elsewhere.dial(address!);
  expect(relay.circuits()!.circuits).toBe(3);
});

test("bytes a second of all circuits: senders are slowed down, and everything arrives", async () => {
  const perSecond = 1024 * KIB;
  const relay = await startRelay({ circuitBytesPerSecond: perSecond });
  const target = await hidden(relay);
  await until(() => reachable(target));
  await target.serve(ECHO, async (stream) => {
    let bytes = 0;
    for (let got = await stream.read(64 * KIB); got !== undefined; got = await stream.read(64 * KIB))
      bytes += got.length;
    await stream.write(new TextEncoder().encode(String(bytes)));
  });
  const send = async (caller: Host, kib: number): Promise<number> => {
    await caller.dial(target.multiaddrs()[0]!);
    const stream = frame(await caller.openStream(target.identity.address, ECHO));
    for (let left = kib; left > 0; left -= 64) await stream.write(new Uint8Array(64 * KIB));
    await stream.close();
    return Number(new TextDecoder().decode(await stream.read(100)));
  };
  const callers = [await hidden(relay), await hidden(relay, "/ip6/")] as const;
  const startedMs = Date.now();
  expect(await Promise.all(callers.map((caller) => send(caller, 4096)))).toEqual([4096 * KIB, 4096 * KIB]);
  const seconds = (Date.now() - startedMs) / 1000;
  const { bytes } = relay.circuits()!;
  expect(bytes).toBeGreaterThan(8192 * KIB);
  // What one second of pause allows comes at once, and the last window of each, which grows from 256 KiB to four times
  // that meanwhile, is paid for afterwards.
  const windows = 2 * 1024 * KIB;
  expect(bytes).toBeLessThanOrEqual((1 + seconds) * perSecond + windows);
  expect(relay.scores()).toEqual([]);
});
