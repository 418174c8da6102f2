import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { createIdentity } from "@skynet/network";
import { fromHex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Chain } from "@skynet/contracts";
import { startTestChain, testKey, type TestChain } from "../packages/contracts/src/test-chain.ts";
import { startChild, type SkyNetChild } from "../packages/node/src/runtime/children.ts";
import { keepListed } from "../packages/node/src/roles/relay/listing.ts";
import { createKeystore } from "../packages/node/src/wallet/keystore.ts";
import { eventsOf, skynet } from "./support/cli.ts";

let chain: TestChain;
let folder: string;
let relay: SkyNetChild;
let multiaddr: string;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const children: SkyNetChild[] = [];
const at = (name: string) => path.join(folder, name);
const env = () => ({ SKYNET_HOME: at("home"), SKYNET_PASSPHRASE: "pass", NO_COLOR: "1" });
const relayAddress = createIdentity(fromHex(testKey(0))).address;
const publisher = createIdentity(fromHex(testKey(2))).address;

function start(role: string, name: string, ...args: string[]): SkyNetChild {
  const place = ["--keystore", at(`${name}.json`), "--data", at(name)];
  const child = startChild([role, ...place, ...args], { env: { ...process.env, ...env() } });
  children.push(child);
  return child;
}

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-relays-"));
  chain = await startTestChain(3);
  const names = ["relay", "worker", "publisher"];
  for (const [index, name] of names.entries())
    await createKeystore(at(`${name}.json`), fromHex(testKey(index)), "pass", 1024);
  relay = start("relay", "relay", "--rpc", chain.anvil.rpcUrl, "--register");
  [multiaddr] = (await relay.event("listening")).multiaddrs as [string];
}, 120_000);
afterAll(async () => {
  await Promise.all(children.map((child) => child.stop()));
  await chain.stop();
  await fs.rm(folder, { recursive: true, force: true });
});

const list = async (...args: string[]) => {
  const { stdout } = await skynet(["relays", "list", "--json", ...args], { env: env() });
  return eventsOf(stdout).at(-1)!.relays as Record<string, unknown>[];
};

describe("a relay with --register", () => {
  it(
    "is on the chain's list, and a worker that is given nothing but --rpc finds it",
    { timeout: 120_000 },
    async () => {
      expect(await chain.parties[1]!.relays.list()).toMatchObject([{ relay: relayAddress }]);
      const worker = start("worker", "worker", "--rpc", chain.anvil.rpcUrl);
      await worker.event("ready");
      await expect
        .poll(() => fs.readFile(at("worker/peers.json"), "utf8").catch(() => ""), { timeout: 30_000 })
        .toContain(multiaddr);
      await worker.stop();
      expect(await list("--data", at("worker"))).toMatchObject([
        { multiaddrs: [multiaddr], sources: expect.arrayContaining(["book"]), state: "live" },
      ]);
      expect(await list("--rpc", chain.anvil.rpcUrl)).toMatchObject([{ multiaddrs: [multiaddr], state: "live" }]);
    },
  );

  it("is found by another relay that has nothing but --rpc", { timeout: 60_000 }, async () => {
    const reader = start("relay", "publisher", "--rpc", chain.anvil.rpcUrl, "--metrics", "127.0.0.1:0");
    const { metrics } = await reader.event("listening");
    const ready = async () => ((await (await fetch(`${String(metrics)}/readyz`)).json()) as { relays: number }).relays;
    await expect.poll(ready, { timeout: 30_000 }).toBe(1);
    await reader.stop();
  });

  it("is off the list, with its deposit, when it was stopped", { timeout: 60_000 }, async () => {
    const second = start("relay", "publisher", "--rpc", chain.anvil.rpcUrl, "--register", "--relay", multiaddr);
    await second.event("listening");
    const address = createIdentity(fromHex(testKey(2))).address;
    expect(await chain.parties[1]!.relays.entry(address)).toBeDefined();
    await second.stop();
    expect(await chain.parties[1]!.relays.entry(address)).toBeUndefined();
    expect(await chain.parties[1]!.relays.deposit(address)).toBe(0n);
  });
});

describe("the entry of a relay", () => {
  it(
    "follows its addresses once they have settled, and takes a dead entry off the list",
    { timeout: 60_000 },
    async () => {
      const [, party, gone] = chain.parties as [unknown, Chain, Chain];
      const announced: (readonly string[])[] = [];
      const announce: Chain["relays"]["announce"] = (addresses, ...rest) => {
        announced.push(addresses);
        return party.relays.announce(addresses, ...rest);
      };
      await gone.relays.announce(["/ip4/192.168.9.9/tcp/1"], 60);
      await chain.advance(61);
      let port = 1;
      let looks = 0;
      const multiaddrs = () => {
        looks += 1;
        return [`/ip4/192.168.7.7/tcp/${port}/p2p/${createIdentity(fromHex(testKey(1))).peerId.toString()}`];
      };
      const stopping = new AbortController();
      const { signal } = stopping;
      const times = { checkMs: 20, settleMs: 300, pauseMs: 0 };
      const relays = { ...party.relays, announce };
      const listing = await keepListed({
        chain: { chainId: party.chainId, relays },
        multiaddrs,
        log: silent,
        signal,
        times,
      });
      const expired = () => party.relays.expired();
      expect(await expired()).toMatchObject([{ relay: gone.address }]);
      // For a moment only: it costs no gas.
      for (const [next, seen] of [
        [2, looks + 3],
        [1, looks + 6],
        [3, looks + 9],
      ] as const) {
        await expect.poll(() => looks).toBeGreaterThanOrEqual(seen - 3);
        port = next;
      }
      await expect
        .poll(async () => (await party.relays.entry())?.multiaddrs, { timeout: 30_000 })
        .toEqual(["/ip4/192.168.7.7/tcp/3"]);
      expect(announced).toEqual([["/ip4/192.168.7.7/tcp/1"], ["/ip4/192.168.7.7/tcp/3"]]);
      await expect.poll(expired, { timeout: 30_000 }).toEqual([]);
      stopping.abort();
      await listing.withdraw();
      expect(await party.relays.entry()).toBeUndefined();
      expect(await gone.relays.deposit()).toBeGreaterThan(0n);
    },
  );
});

describe("a signed list of relays", () => {
  it(
    "is made, checked, fetched from a server, and used by a node that knows nothing else",
    { timeout: 120_000 },
    async () => {
      const wallet = ["--keystore", at("publisher.json")];
      const signed = await skynet(["relays", "sign", multiaddr, ...wallet, "--out", at("list.json")], { env: env() });
      expect(signed).toMatchObject({ code: 0, stderr: "" });
      expect(signed.stdout).toContain(`#${publisher}`);
      const verified = await skynet(["relays", "verify", at("list.json"), "--json"], { env: env() });
      expect(eventsOf(verified.stdout).at(-1)).toMatchObject({ publisher, relays: [multiaddr] });
      const other = await skynet(["relays", "verify", `${at("list.json")}#${relayAddress}`], { env: env() });
      expect(other.code).not.toBe(0);
      expect(other.stderr).toContain(`is signed by ${publisher}`);

      const text = await fs.readFile(at("list.json"), "utf8");
      const server = http.createServer((_, response) => response.end(text));
      await once(server.listen(0, "127.0.0.1"), "listening");
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list.json`;
      try {
        const found = await list("--data", at("empty"), "--bootstrap", `${url}#${publisher}`);
        // Relays tell of others for a while, also of one that has stopped.
        const sources = expect.arrayContaining(["bootstrap"]) as string[];
        expect(found[0]).toMatchObject({ multiaddrs: [multiaddr], state: "live", sources });
      } finally {
        server.close();
      }
    },
  );

  it("is for one cluster", { timeout: 60_000 }, async () => {
    const args = ["--keystore", at("publisher.json"), "--out", at("five.json"), "--cluster", "5"];
    const signed = await skynet(["relays", "sign", multiaddr, ...args], { env: env() });
    expect(signed).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(await fs.readFile(at("five.json"), "utf8"))).toMatchObject({ network: 5 });
    const here = await skynet(["relays", "verify", at("five.json"), "--cluster", "5"], { env: env() });
    const elsewhere = await skynet(["relays", "verify", at("five.json")], { env: env() });
    expect([here.code, elsewhere.code]).toEqual([0, 1]);
    expect(elsewhere.stderr).toContain("the list is for network 5, not 1729");
  });

  it("without a publisher, or of another one, is refused with what to do", { timeout: 60_000 }, async () => {
    const without = await skynet(["relays", "list", "--bootstrap", at("list.json")], { env: env() });
    expect(without.code).not.toBe(0);
    expect(without.stderr).toContain("names no publisher");
    const wrong = await skynet(
      ["relays", "list", "--data", at("empty"), "--bootstrap", `${at("list.json")}#${relayAddress}`],
      {
        env: env(),
      },
    );
    expect(wrong.stderr).toContain(`is signed by ${publisher}`);
    expect(wrong.stdout).toContain("no relay is known");
  });
});
