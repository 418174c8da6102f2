// What deploy/ gives to operators, run as far as it goes without systemd and containers.
import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { createKeystore, startChild } from "@skynet/node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseRelayConfig } from "../packages/node/src/roles/relay/config.ts";
import { skynet } from "./support/cli.ts";

const root = path.join(import.meta.dirname, "..");
const read = (name: string) => fs.readFile(path.join(root, "deploy", name), "utf8");
let folder = "";

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-deploy-"));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

/** The words of an instruction in the exec form, from the last one of its kind. */
async function instruction(name: string): Promise<string[]> {
  const text = (await read("Containerfile")).replaceAll("\\\n", " ");
  const line = text.split("\n").findLast((each) => each.startsWith(name))!;
  return JSON.parse(line.slice(line.indexOf("["))) as string[];
}

it("the example configuration is valid, listens for the world, and shows its metrics to this machine only", async () => {
  const config = parseRelayConfig(await read("relay.yaml"));
  expect(config.listen).toHaveLength(3);
  expect(config.metrics).toEqual({ host: "127.0.0.1", port: 9464 });
  expect(config.log?.to).toBe("stderr");
});

it("what --print-config writes is a valid configuration", async () => {
  const { code, stdout } = await skynet(["relay", "--print-config"], { env: { SKYNET_HOME: folder } });
  expect(code).toBe(0);
  expect(parseRelayConfig(stdout).listen).toEqual(["/ip4/127.0.0.1/tcp/0"]);
});

it("a certificate without its key is refused with what is missing", async () => {
  await createKeystore(path.join(folder, "half.json"), randomBytes(32), "word", 1024);
  const args = ["relay", "--tls-cert", "a.pem", "--keystore", path.join(folder, "half.json")];
  const { code, stderr } = await skynet(args, { env: { SKYNET_HOME: folder, SKYNET_PASSPHRASE: "word" } });
  expect(code).toBe(1);
  expect(stderr).toMatch(/error:.*--tls-cert and --tls-key belong together\n.*what to do:.*both/);
});

it("the example's relay starts, is healthy, lives through SIGHUP, stops on SIGTERM, and comes back the same", async () => {
  const example = (await read("relay.yaml"))
    .replaceAll("/var/lib/skynet-relay", folder)
    .replaceAll("0.0.0.0", "127.0.0.1")
    .replaceAll(/\/(tcp|udp)\/6000\d/g, "/$1/0")
    .replace("127.0.0.1:9464", "127.0.0.1:0");
  await fs.writeFile(path.join(folder, "relay.yaml"), example);
  await fs.writeFile(path.join(folder, "passphrase"), "word\n", { mode: 0o600 });
  await createKeystore(path.join(folder, "relay.json"), randomBytes(32), "word", 1024);
  const [entry, ...command] = [...(await instruction("ENTRYPOINT")), ...(await instruction("CMD"))].slice(1);
  expect(path.join(root, path.relative("/opt/skynet", entry!))).toBe(path.join(root, "packages/node/build/main.js"));
  expect(command).toEqual(["relay", "--config", "/etc/skynet-relay/relay.yaml"]);
  const args = ["--config", path.join(folder, "relay.yaml"), "--passphrase-file", path.join(folder, "passphrase")];

  const first = startChild(["relay", ...args]);
  const { multiaddrs, metrics } = (await first.event("listening")) as { multiaddrs: string[]; metrics: string };
  expect(multiaddrs.map((address) => address.split("/").slice(3, 6).join("/").replace(/\d+/, "N"))).toEqual(
    expect.arrayContaining([expect.stringMatching(/^tcp\/N/), expect.stringMatching(/^udp\/N\/quic/)]),
  );
  const healthcheck = (await instruction("HEALTHCHECK")).map((word) => word.replace("http://127.0.0.1:9464", metrics));
  const health = () => promisify(execFile)(process.execPath, healthcheck.slice(1));
  await health();
  first.process.kill("SIGHUP");
  expect((await fetch(`${metrics}/healthz`)).status).toBe(200);
  first.process.kill("SIGTERM");
  const [code] = (await once(first.process, "exit")) as [number];
  expect(code).toBe(0);
  await expect(health()).rejects.toMatchObject({ code: 1 });

  const second = startChild(["relay", ...args]);
  const again = (await second.event("listening")) as { multiaddrs: string[] };
  const peer = (addresses: string[]) => addresses[0]!.split("/p2p/")[1];
  expect(peer(again.multiaddrs)).toBe(peer(multiaddrs));
  await second.stop();
}, 60_000);

const verifies = spawnSync("systemd-analyze", ["--version"]).status === 0;

it.skipIf(!verifies)("systemd accepts the unit", async () => {
  const unit = (await read("skynet-relay.service")).replaceAll("/opt/skynet/", `${root}/`);
  const file = path.join(folder, "skynet-relay.service");
  await fs.writeFile(file, unit);
  const { status, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
  expect({ status, stderr: stderr.trim() }).toEqual({ status: 0, stderr: "" });
});

it("no secret gets into the image: the build leaves out their usual names, and the guide keeps them elsewhere", async () => {
  const text = await fs.readFile(path.join(root, ".dockerignore"), "utf8");
  const patterns = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const left = (name: string) => patterns.some((pattern) => path.matchesGlob(name, pattern));
  const secrets = ["passphrase", "relay.json", "wallet.json", "privkey.pem", "UTC--2026-01-01T00-00-00Z--ab"];
  for (const name of secrets) expect([name, left(name), left(`deploy/${name}`)]).toEqual([name, true, true]);
  for (const name of ["package.json", "packages/node/src/wallet/passphrase.ts", "deploy/relay.yaml"])
    expect([name, left(name)]).toEqual([name, false]);
  const guide = await fs.readFile(path.join(root, "docs/relay.md"), "utf8");
  const mounts = [...guide.matchAll(/-v (\S+?):/g)].map(([, from]) => from!);
  expect(mounts).toHaveLength(3);
  for (const from of mounts) expect(from).toMatch(/^(relay-data|\/etc\/skynet-relay\/)/);
});

it("unit and container run the command of this repository, without root and with bounds", async () => {
  const unit = await read("skynet-relay.service");
  const start =
    /^ExecStart=\/opt\/skynet\/(\S+) \/opt\/skynet\/(\S+) relay --config \S+ --passphrase-file %d\/passphrase$/m;
  const [node, main] = start
    .exec(unit)!
    .slice(1)
    .map((file) => path.join(root, file)) as [string, string];
  const { stdout } = await promisify(execFile)(node, [main, "--version"]);
  expect(stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/);
  for (const line of ["DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "LimitNOFILE=65536"])
    expect(unit.split("\n")).toContain(line);
  expect((await read("Containerfile")).split("\n")).toContain("USER node");
});
