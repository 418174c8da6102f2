// The key of a node, through the command line: files, passphrases, and what a key has on chain.
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openKeystore } from "@skynet/node";
import { toHex } from "@skynet/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startTestChain, testKey, type TestChain } from "../packages/contracts/src/test-chain.ts";
import { fundParties, postTestJob } from "../packages/contracts/src/test-job.ts";
import { createProgram } from "../packages/node/src/cli/program.ts";
import { skynet } from "./support/cli.ts";

let folder = "";
let chain: TestChain;
const file = (name: string) => path.join(folder, name);
const mode = async (name: string) => (await fs.stat(file(name))).mode & 0o777;

/** Runs `skynet identity ARGS` in this process. @returns its result; @throws its error */
async function identity(args: readonly string[], env: Record<string, string> = {}): Promise<Record<string, unknown>> {
  vi.unstubAllEnvs();
  const all = { SKYNET_HOME: folder, SKYNET_PASSPHRASE: "first", ...env };
  for (const [name, value] of Object.entries(all)) vi.stubEnv(name, value);
  const program = await createProgram(["identity"]);
  await program.parseAsync(["node", "skynet", "identity", ...args, "--json", file("result.json")]);
  return JSON.parse(await fs.readFile(file("result.json"), "utf8")) as Record<string, unknown>;
}

const refused = (code: string, more: Record<string, unknown> = {}) => ({ code, ...more });

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-identity-"));
  chain = await startTestChain(2);
  await fundParties(chain.parties);
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const env = { SKYNET_HOME: folder, SKYNET_PASSPHRASE: "first" };
  await skynet(["identity", "import", "--keystore", file("keys/node.json")], { env, input: testKey(1) });
}, 60_000);
afterEach(() => vi.unstubAllEnvs());
afterAll(async () => {
  vi.restoreAllMocks();
  await chain.stop();
  await fs.rm(folder, { recursive: true, force: true });
});

const node = () => ["--keystore", file("keys/node.json")];

describe("files", () => {
  it("a key gets mode 0600 in a folder of 0700, and is shown without its passphrase", async () => {
    expect([await mode("keys/node.json"), await mode("keys")]).toEqual([0o600, 0o700]);
    const shown = await identity(["show", ...node()], { SKYNET_PASSPHRASE: "" });
    expect(shown).toMatchObject({ address: chain.parties[1]!.address, mode: "0600", uses: [] });
    expect(shown.peerId).toMatch(/^16Uiu2HA/);
    expect(await identity(["export", "--peer-id", ...node()])).toEqual({ peerId: shown.peerId });
  });

  it("is exported under a passphrase of its own, never over another file, and imported again", async () => {
    const own = { SKYNET_EXPORT_PASSPHRASE: "copy" };
    await identity(["export", file("copy.json"), ...node()], own);
    expect(await mode("copy.json")).toBe(0o600);
    await expect(identity(["export", file("copy.json"), ...node()], own)).rejects.toMatchObject(
      refused("WalletExists"),
    );
    await expect(openKeystore(file("copy.json"), "first")).rejects.toMatchObject(refused("WrongPassphrase"));
    const args = ["import", file("copy.json"), "--keystore", file("b.json")];
    await expect(identity(args, { SKYNET_IMPORT_PASSPHRASE: "no" })).rejects.toMatchObject(refused("WrongPassphrase"));
    await identity(args, { SKYNET_IMPORT_PASSPHRASE: "copy" });
    expect(toHex(await openKeystore(file("b.json"), "first"))).toBe(testKey(1));
  });

  it("public parts hold no secret and need no passphrase", async () => {
    await identity(["export", file("public.json"), "--public", ...node()], { SKYNET_PASSPHRASE: "" });
    const text = await fs.readFile(file("public.json"), "utf8");
    expect(Object.keys(JSON.parse(text) as object)).toEqual(["address", "peerId", "publicKey"]);
    expect(text).not.toContain(testKey(1).slice(2));
  });

  it("changes its passphrase", async () => {
    const args = ["passphrase", "--keystore", file("b.json")];
    const wrong = identity(args, { SKYNET_PASSPHRASE: "x", SKYNET_NEW_PASSPHRASE: "y" });
    await expect(wrong).rejects.toMatchObject(refused("WrongPassphrase"));
    await identity(args, { SKYNET_NEW_PASSPHRASE: "second" });
    await expect(openKeystore(file("b.json"), "first")).rejects.toMatchObject(refused("WrongPassphrase"));
    expect(toHex(await openKeystore(file("b.json"), "second"))).toBe(testKey(1));
    expect(await mode("b.json")).toBe(0o600);
  });
});

describe("what is refused", () => {
  it.each([
    ["a key near zero", `${"0".repeat(63)}1`, "WeakPrivateKey"],
    ["a key of one repeated byte", "ab".repeat(32), "WeakPrivateKey"],
    ["a public development key", "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80", "WeakPrivateKey"],
    ["a number above the curve's order", "f".repeat(64), "BadPrivateKey"],
    ["another text", "hello", "BadPrivateKey"],
    ["a broken keystore", "{}", "BrokenWallet"],
  ])("%s", async (_name, content, code) => {
    await fs.writeFile(file("in.txt"), content, { mode: 0o600 });
    const imported = identity(["import", file("in.txt"), "--keystore", file("w.json")], {
      SKYNET_IMPORT_PASSPHRASE: "p",
    });
    await expect(imported).rejects.toMatchObject(refused(code));
    await expect(fs.access(file("w.json"))).rejects.toThrow();
  });

  it("files that others can use: a raw key that can be read, a keystore or passphrase that can be changed", async () => {
    await fs.writeFile(file("raw.txt"), testKey(0), { mode: 0o644 });
    const take = ["import", file("raw.txt"), "--keystore", file("raw.json")];
    const unsafe = (name: string) => refused("UnsafePermissions", { hint: `chmod 600 ${file(name)}` });
    await expect(identity(take)).rejects.toMatchObject(unsafe("raw.txt"));
    await fs.chmod(file("raw.txt"), 0o600);
    await identity(take);

    const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    await fs.chmod(file("raw.json"), 0o640);
    const show = ["show", "--keystore", file("raw.json")];
    await identity(show);
    expect(stderr.mock.calls.join("")).toMatch(/warning: .*raw\.json .*mode 0640.*chmod 600/);
    stderr.mockRestore();
    await fs.chmod(file("raw.json"), 0o620);
    await expect(identity(show)).rejects.toMatchObject(unsafe("raw.json"));
    await fs.chmod(file("raw.json"), 0o600);

    await fs.writeFile(file("pass.txt"), "first\n");
    await fs.chmod(file("pass.txt"), 0o666);
    const args = ["passphrase", "--keystore", file("raw.json"), "--passphrase-file", file("pass.txt")];
    await expect(identity(args)).rejects.toMatchObject(unsafe("pass.txt"));
  });
});

describe("rotate", () => {
  const rotate = (args: readonly string[], env = {}) => identity(["rotate", ...node(), ...args], env);
  const rpc = () => ["--rpc", chain.anvil.rpcUrl];

  it("is refused while the key has a seat and stake, and names them", async () => {
    const before = await fs.readFile(file("keys/node.json"));
    await expect(rotate([])).rejects.toMatchObject(refused("NoConnection"));
    await chain.parties[1]!.relays.announce(["/ip4/192.0.2.1/tcp/60000"], 3600);
    const { join } = await postTestJob(chain.parties, { seats: 1, minSeats: 1 });
    await join();
    const message = expect.stringMatching(/a seat in job .*stake/) as unknown;
    await expect(rotate(rpc())).rejects.toMatchObject(refused("IdentityInUse", { message }));
    expect(await fs.readFile(file("keys/node.json"))).toEqual(before);
    const { ties } = await identity(["show", ...node(), ...rpc()]);
    const kinds = (ties as { kind: string }[]).map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(["seat", "stake", "relay", "registration", "money"]));
  });

  it("with --force puts a new key in place, warns, and keeps the old one encrypted", async () => {
    const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const { address, old, backup } = (await rotate([...rpc(), "--force"])) as Record<string, string>;
    expect(stderr.mock.calls.join("")).toMatch(/warning: --force/);
    stderr.mockRestore();
    expect(old).toBe(chain.parties[1]!.address);
    expect(path.basename(backup!)).toMatch(/^node-\d{4}-\d\d-\d\dT[\d-]+Z-0x[0-9a-f]{8}\.json$/);
    expect(toHex(await openKeystore(backup!, "first"))).toBe(testKey(1));
    expect(toHex(await openKeystore(file("keys/node.json"), "first"))).not.toBe(testKey(1));
    expect(await identity(["show", ...node()])).toMatchObject({ address });
    expect(((await fs.stat(backup!)).mode & 0o777).toString(8)).toBe("600");
  });

  it("a key without ties is exchanged, with its passphrase only", async () => {
    const wrong = rotate(rpc(), { SKYNET_PASSPHRASE: "wrong" });
    await expect(wrong).rejects.toMatchObject(refused("WrongPassphrase"));
    await rotate(rpc());
    await rotate(["--offline"]);
    expect((await fs.readdir(file("keys"))).length).toBe(4);
  });
});
