// Two nodes behind home routers exchange 64 MB: real `skynet relay` processes, real NAT.
import type { ChildProcess } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { SkyNetChild } from "@skynet/node";
import { afterEach, describe, expect, it } from "vitest";
import { openLab, whyNoLab, type Lab } from "./netlab/lab.ts";
import { bothWays, type Router } from "./netlab/topology.ts";
import type { PeerReply, PeerReport, PeerRequest } from "./support/lab-peer.ts";
import { createWallet, startLabRelay } from "./support/lab-relay.ts";

const missing = whyNoLab();
const MIB = 1024 * 1024;
const CONTENT_BYTES = 64 * MIB;
const RELAYS = ["relay1", "relay2"];
const PEER = path.join(import.meta.dirname, "support", "lab-peer.ts");

/** A node behind a router. */
interface Peer {
  readonly process: ChildProcess;
  readonly address: string;
}

/** Two homes and two relays. */
interface Homes {
  readonly lab: Lab;
  readonly folder: string;
  readonly relays: readonly { readonly multiaddr: string; readonly process: SkyNetChild }[];
  readonly alice: Peer;
  readonly bob: Peer;
}

let homes: Homes | undefined;
afterEach(async () => {
  const { relays = [], lab, folder } = homes ?? {};
  await Promise.all(relays.map((relay) => relay.process.stop()));
  await lab?.close();
  if (folder) await fs.rm(folder, { recursive: true, force: true });
  homes = undefined;
}, 60_000);

/** @throws Error when the node reports a failure, or ends */
function reply<K extends string>(peer: ChildProcess, key: K): Promise<Extract<PeerReply, Record<K, unknown>>> {
  return new Promise((resolve, reject) => {
    const hear = (message: PeerReply) => {
      if ("failed" in message) reject(new Error(message.failed));
      if (!(key in message)) return;
      peer.off("message", hear);
      resolve(message as Extract<PeerReply, Record<K, unknown>>);
    };
    peer.on("message", hear);
    peer.once("exit", (code) => reject(new Error(`a node ended with code ${code}`)));
  });
}

const tell = (peer: Peer, request: PeerRequest) => peer.process.send(request);

async function report(of: Peer, about: Peer): Promise<PeerReport> {
  const answer = reply(of.process, "remoteAddress");
  tell(of, { do: "report", peer: about.address as `0x${string}` });
  return answer;
}

async function openHomes(nat: Router["nat"]): Promise<Homes> {
  const access = bothWays({ delayMs: 5 });
  const lab = await openLab({
    routers: { router1: { nat, access }, router2: { nat, access } },
    hosts: { relay1: {}, relay2: {}, alice: { behind: "router1" }, bob: { behind: "router2" } },
  });
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-nat-"));
  const relays = await Promise.all(
    RELAYS.map(async (machine) => {
      const wallet = await createWallet(folder, machine);
      const process = await startLabRelay(lab, machine, { folder, wallet });
      const { multiaddrs } = (await process.event("listening")) as { multiaddrs: string[] };
      return { multiaddr: multiaddrs[0]!, process };
    }),
  );
  const start = async (machine: string, number: number): Promise<Peer> => {
    const args = [String(number), lab.address(machine), ...relays.map(({ multiaddr }) => multiaddr)];
    const process = lab.fork(machine, PEER, args);
    return { process, address: (await reply(process, "address")).address };
  };
  const [alice, bob] = await Promise.all([start("alice", 1), start("bob", 2)]);
  homes = { lab, folder, relays, alice, bob };
  return homes;
}

/** Bob begins to fetch 64 MB from Alice. `fetched`: how many bytes he has at the end. */
async function beginTransfer({ alice, bob }: Homes): Promise<{ fetched: Promise<number> }> {
  const made = reply(alice.process, "cid");
  tell(alice, { do: "make", bytes: CONTENT_BYTES });
  const fetched = reply(bob.process, "fetchedBytes").then(({ fetchedBytes }) => fetchedBytes);
  fetched.catch(() => undefined); // It is awaited by the test.
  tell(bob, { do: "fetch", from: alice.address as `0x${string}`, cid: (await made).cid });
  return { fetched };
}

/** Bytes that the relays sent to nodes. */
const carried = async ({ lab }: Homes) =>
  Promise.all(RELAYS.map(async (machine) => (await lab.count(machine)).up.bytes));

describe.skipIf(missing)(missing === undefined ? "two nodes behind NAT" : `NAT, skipped: ${missing}`, () => {
  it("plain NAT: 64 MB go directly, over WebRTC, and the relays carry none of them", async () => {
    const home = await openHomes("cone");
    // On a busy machine a circuit may be faster at first; nodes replace it.
    const relayed = async () => (await report(home.bob, home.alice)).relayed;
    await expect.poll(relayed, { timeout: 90_000, interval: 500 }).toBe(false);
    const { fetched } = await beginTransfer(home);
    expect(await fetched).toBe(CONTENT_BYTES);
    for (const connection of [await report(home.alice, home.bob), await report(home.bob, home.alice)]) {
      expect(connection.relayed).toBe(false);
      expect(connection.remoteAddress).toContain("/webrtc/p2p/");
    }
    for (const bytes of await carried(home)) expect(bytes).toBeLessThan(2 * MIB);
    expect((await home.lab.count("router1")).up.bytes).toBeGreaterThan(CONTENT_BYTES);
  }, 300_000);

  it("symmetric NAT: a relay carries 64 MB, and when it is killed the transfer goes on over the other one", async () => {
    const home = await openHomes("symmetric");
    const { fetched } = await beginTransfer(home);
    const { receivedBytes } = await reply(home.bob.process, "receivedBytes");
    const before = await report(home.bob, home.alice);
    expect(before.relayed).toBe(true);
    const carrier = home.relays.findIndex(({ multiaddr }) => before.remoteAddress.startsWith(multiaddr));
    home.relays[carrier]!.process.process.kill("SIGKILL");
    expect(await fetched).toBe(CONTENT_BYTES);
    const after = await report(home.bob, home.alice);
    expect(after.relayed).toBe(true);
    expect(after.remoteAddress.startsWith(home.relays[1 - carrier]!.multiaddr)).toBe(true);
    // What was under way when the relay died is sent again, not what had arrived.
    const bytes = await carried(home);
    expect(bytes[carrier]).toBeGreaterThan(receivedBytes);
    expect(bytes[1 - carrier]).toBeLessThan(CONTENT_BYTES * 1.08 - receivedBytes);
    expect((await report(home.alice, home.bob)).sentBlockBytes).toBeLessThan(CONTENT_BYTES + 16 * MIB);
  }, 300_000);
});
