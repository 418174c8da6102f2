import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { createHost, createIdentity, type Host } from "@skynet/network";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = path.join(import.meta.dirname, "..", "..", "..", "build", "main.js");
const identity = (n: number) => createIdentity(new Uint8Array(32).fill(n));
let relay: Host;
let peer: Host;
beforeAll(async () => {
  relay = await createHost({ identity: identity(71), relayService: true, role: "relay", stun: { port: 0 } });
  peer = await createHost({ identity: identity(72), relays: relay.multiaddrs(), presenceIntervalMs: 500 });
});
afterAll(async () => void (await Promise.all([peer.stop(), relay.stop()])));

const doctor = (...args: string[]) =>
  promisify(execFile)(process.execPath, [main, "doctor", "network", "--no-upnp", ...args]).catch(
    (error: { stdout: string; code: number }) => error,
  );

test("doctor network tells the NAT, what the relay offers, and that every way leads to a peer on this machine", async () => {
  await expect.poll(() => peer.multiaddrs().some((text) => text.includes("/webrtc/")), { timeout: 30_000 }).toBe(true);
  const args = ["--relay", relay.multiaddrs()[0]!, "--peer", peer.identity.address, "--json"];
  const { stdout } = await doctor(...args);
  const { result: _, ...found } = JSON.parse(stdout.trim().split("\n").at(-1)!) as Record<string, unknown>;
  expect(found).toMatchObject({
    ok: true,
    nat: { kind: "none", publicAddress: "127.0.0.1" },
    relays: [{ answers: true, stun: true, circuits: true, observed: { host: "127.0.0.1" } }],
    peers: [{ peer: peer.identity.address, paths: [{ path: "direct" }, { path: "webrtc" }, { path: "relayed" }] }],
  });
  const [{ paths }] = found.peers as [{ paths: { works: boolean; bytesPerSecond: number }[] }];
  for (const it of paths) expect(it).toMatchObject({ works: true, bytesPerSecond: expect.any(Number) as number });
});

test("a relay and a peer that do not answer are named, with what to do", async () => {
  const dead = relay.multiaddrs()[0]!.replace(/tcp\/\d+/, "tcp/9");
  const { stdout, code } = (await doctor("--relay", dead)) as { stdout: string; code: number };
  expect(code).toBe(1);
  expect(stdout).toMatch(/does not answer: .*\n.*check the address/);
  expect(stdout).toContain("no relay here serves STUN");
});

test("a relay is asked by an address without its PeerId, as other commands take it; another node there is named", async () => {
  const [bare] = relay.multiaddrs()[0]!.split("/p2p/");
  const { stdout } = await doctor("--relay", bare!, "--json");
  const found = JSON.parse(stdout.trim().split("\n").at(-1)!) as unknown;
  expect(found).toMatchObject({ ok: true, relays: [{ multiaddr: bare, answers: true, stun: true }] });
  const other = peer.multiaddrs().find((text) => !text.includes("p2p-circuit"))!;
  expect((await doctor("--relay", other)).stdout).toMatch(/does not answer: .*\n.*no relay of this network/);
  const closed = (await doctor("--relay", "/ip4/127.0.0.1/tcp/9")).stdout;
  expect(closed).toMatch(/does not answer: .*\n.*does a firewall stand between/);
});
