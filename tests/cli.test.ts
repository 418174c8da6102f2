import fs from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventsOf, skynet } from "./support/cli.ts";
import { writeSmallJob } from "./support/small-job.ts";

let folder = "";
const env = () => ({ SKYNET_HOME: path.join(folder, "home"), SKYNET_PASSPHRASE: "pass", NO_COLOR: "1" });
const file = (name: string) => path.join(folder, name);

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-cli-"));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

describe("help and usage", () => {
  it("--help shows options and an example", async () => {
    const { code, stdout } = await skynet(["job", "post", "--help"], { env: env() });
    expect(code).toBe(0);
    expect(stdout).toMatch(/Example:\n {2}\$ npx skynet job post/);
  });

  it.each([[["nonsense"]], [["train"]], [["devnet", "--workers", "many"]], [["wallet", "new", "--keystroke", "x"]]])(
    "%j ends with code 2 and says why",
    async (args) => {
      const { code, stderr } = await skynet(args, { env: env() });
      expect(code).toBe(2);
      expect(stderr).toMatch(/error: /);
    },
  );
});

describe("wallet", () => {
  it("makes, shows and imports the same key", async () => {
    const made = await skynet(["wallet", "new", "--keystore", file("a.json"), "--json"], { env: env() });
    expect(made.code).toBe(0);
    const { address, peerId } = eventsOf(made.stdout).at(-1)!;
    expect(address).toMatch(/^0x[0-9a-f]{40}$/);
    const shown = await skynet(["wallet", "show", "--keystore", file("a.json")], { env: env() });
    expect(shown.stdout).toContain(address);
    expect(shown.stdout).toContain(peerId);
  });

  it("imports a key from standard input", async () => {
    const key = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    const { code, stdout } = await skynet(["wallet", "import", "-", "--keystore", file("one.json")], {
      env: env(),
      input: key,
    });
    expect(code).toBe(0);
    expect(stdout).toContain("0x2c7536e3605d9c16a7a3d7b1898e529396a65c23");
  });

  it.each([
    [
      "a wrong passphrase",
      ["show", "--keystore", "a.json"],
      { SKYNET_PASSPHRASE: "wrong" },
      /passphrase does not open/,
    ],
    ["an existing file", ["new", "--keystore", "a.json"], {}, /exists already/],
    ["a missing wallet", ["show", "--keystore", "nowhere.json"], {}, /no wallet at/],
    ["no passphrase", ["show", "--keystore", "a.json"], { SKYNET_PASSPHRASE: "" }, /no terminal to ask on/],
  ])("explains %s with code 1", async (_name, args, more, message) => {
    const { code, stderr } = await skynet(["wallet", ...args], { env: { ...env(), ...more }, cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});

describe("wrong input to train", () => {
  let job = "";
  beforeAll(async () => {
    job = await writeSmallJob(file("job"));
    await skynet(["wallet", "new", "--keystore", file("requester.json")], { env: env() });
  });
  const train = (jobFile: string, ...more: string[]) =>
    skynet(["train", jobFile, "--keystore", file("requester.json"), "--data", file("data"), ...more], { env: env() });

  it("a wrong key names the nearest valid one", async () => {
    await fs.writeFile(file("job/typo.yaml"), (await fs.readFile(job, "utf8")).replace("model:", "modle:"));
    const { code, stderr } = await train(
      file("job/typo.yaml"),
      "--rpc",
      "http://127.0.0.1:1",
      "--relay",
      "/ip4/127.0.0.1/tcp/1",
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/"modle"; the nearest valid one is "model"/);
  });

  it("without a chain it says so and how to start one", async () => {
    const nowhere = await train(job, "--rpc", "http://127.0.0.1:1", "--relay", "/ip4/127.0.0.1/tcp/1");
    expect(nowhere.code).toBe(1);
    expect(nowhere.stderr).toMatch(/http:\/\/127\.0\.0\.1:1/);
    const nothing = await train(job);
    expect(nothing.code).toBe(1);
    expect(nothing.stderr).toMatch(/npx skynet devnet/);
  });
});

describe("--json", () => {
  it("does not take a command's argument for its file", async () => {
    const before = await skynet(["train", "--json", "nowhere.yaml", "--rpc", "http://127.0.0.1:1"], { env: env() });
    expect(before.code).toBe(1);
    expect(eventsOf(before.stdout).at(-1)).toMatchObject({ event: "error", code: "FileNotFound" });
  });
});

describe("doctor", () => {
  it("names what is missing and how to mend it", async () => {
    const { code, stdout } = await skynet(["doctor"], { env: env() });
    expect(code).toBe(1);
    expect(stdout).toMatch(/✔ Node/);
    expect(stdout).toMatch(/✔ Disk/);
    expect(stdout).toMatch(/✘ Chain[^]*npx skynet devnet/);
    expect(stdout).toMatch(/✘ Relay/);
  });
});

describe("ports", () => {
  it("a port in use is a clear error", async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as net.AddressInfo;
    await skynet(["wallet", "new", "--keystore", file("relay.json")], { env: env() });
    const relay = await skynet(
      ["relay", "--keystore", file("relay.json"), "--listen", `/ip4/127.0.0.1/tcp/${port}`, "--data", file("relay")],
      { env: env() },
    );
    expect(relay.code).toBe(1);
    expect(relay.stderr).toMatch(/another process listens on/);
    const devnet = await skynet(["devnet", "--workers", "0", "--port", String(port), "--data", file("devnet")], {
      env: env(),
    });
    expect(devnet.code).toBe(1);
    expect(devnet.stderr).toMatch(/in use/i);
    server.close();
  });
});
