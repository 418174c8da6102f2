import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { startTestService, TEST_KEY, type TestService } from "../../../../storage/src/remote/testing-service.ts";
import { createKeystore } from "../../wallet/keystore.ts";
import { createProgram } from "../program.ts";

const PASSPHRASE = "a passphrase of this test";
let home: string;
let service: TestService;
let printed = "";

beforeAll(async () => {
  home = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-storage-cli-"));
  service = await startTestService();
  await createKeystore(path.join(home, "wallet.json"), randomBytes(32), PASSPHRASE, 2);
  await createKeystore(path.join(home, "other.json"), randomBytes(32), PASSPHRASE, 2);
  for (const [name, value] of Object.entries({
    SKYNET_HOME: home,
    SKYNET_PASSPHRASE: PASSPHRASE,
    SKYNET_LIGHTHOUSE_API: service.url,
    SKYNET_LIGHTHOUSE_UPLOAD: service.url,
    SKYNET_GATEWAYS: service.url,
    SKYNET_IPFS_NODE: service.url,
    CI: "1",
  }))
    vi.stubEnv(name, value);
  for (const name of ["LIGHTHOUSE_API_KEY", "SKYNET_PINNING_TOKEN", "SKYNET_PINNING_URL"]) vi.stubEnv(name, "");
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  process.setMaxListeners(100);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await service.close();
  await fs.rm(home, { recursive: true, force: true });
});
beforeEach(() => {
  printed = "";
});

/** Runs `skynet storage ...` in this process. @returns what --json writes */
async function storage(...args: string[]): Promise<Record<string, unknown>> {
  const out = path.join(home, "result.json");
  await fs.rm(out, { force: true });
  const program = await createProgram(["storage"]);
  await program.parseAsync(["node", "skynet", "storage", ...args, "--json", out]);
  return JSON.parse(await fs.readFile(out, "utf8")) as Record<string, unknown>;
}

const keyFile = async (key: string) => {
  const file = path.join(home, "key.txt");
  await fs.writeFile(file, `${key}\n`, { mode: 0o600 });
  return file;
};

describe("skynet storage", () => {
  it("says how to get a key, refuses a wrong one, and keeps a right one encrypted for its owner alone", async () => {
    await expect(storage("quota")).rejects.toMatchObject({
      code: "NoApiKey",
      hint: expect.stringContaining("npx skynet storage login") as string,
    });
    await expect(storage("login", "--key-file", await keyFile("wrong"))).rejects.toMatchObject({ code: "WrongApiKey" });
    const { file } = await storage("login", "--key-file", await keyFile(TEST_KEY));
    expect((await fs.stat(file as string)).mode & 0o777).toBe(0o600);
    expect((await fs.readFile(file as string)).includes(TEST_KEY)).toBe(false);
    expect(printed).not.toContain(TEST_KEY);
    expect(await storage("quota")).toMatchObject({ used: 0 });
    await expect(storage("quota", "--keystore", path.join(home, "other.json"))).rejects.toMatchObject({
      code: "CannotDecrypt",
    });
  });

  it("uploads for the owner of the wallet, lists by name, and downloads what was uploaded", async () => {
    const file = path.join(home, "my secret data.csv");
    const content = randomBytes(300_000);
    await fs.writeFile(file, content);
    const { cid } = (await storage("upload", file)) as { cid: string };
    expect(JSON.stringify([service.requests, service.stored])).not.toContain("secret");
    expect(printed).toContain(cid);
    expect(await fs.readdir(path.join(home, "storage", "unfinished"))).toEqual([]);
    const { objects } = (await storage("list")) as { objects: { cid: string }[] };
    expect(objects.map((object) => object.cid)).toEqual([cid]);
    expect(printed).toContain("my secret data.csv");
    const out = path.join(home, "out.csv");
    await storage("download", cid, out);
    expect(Buffer.compare(await fs.readFile(out), content)).toBe(0);
    await expect(storage("download", cid, out)).rejects.toMatchObject({ code: "FileExists" });
    const other = storage("download", cid, out, "--force", "--keystore", path.join(home, "other.json"));
    await expect(other).rejects.toMatchObject({ code: "CannotDecrypt" });
    expect(Buffer.compare(await fs.readFile(out), content)).toBe(0);
    const { deals } = (await storage("deals", cid)) as { deals: unknown[] };
    expect(deals).toHaveLength(2);
    const { removed } = (await storage("remove", cid)) as { removed: string[] };
    expect(removed).toHaveLength(2);
    expect(service.stored).toEqual([]);
  });

  it("uploads through the own IPFS node to a pinning service, which fetches every object of the file", async () => {
    const url = service.url;
    await storage("login", "--service", "pinning", "--url", url, "--key-file", await keyFile(TEST_KEY));
    const file = path.join(home, "public.txt");
    await fs.writeFile(file, "for everybody\n".repeat(100));
    const { cid, parts } = (await storage("upload", file, "--public", "--service", "pinning")) as {
      cid: string;
      parts: string[];
    };
    expect(service.pins.map(({ pin }) => pin.cid)).toEqual([...parts, cid]);
    expect(service.pins[0]!.pin.origins).toEqual(["/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWTestNode"]);
    expect(service.requests.map(({ path: asked }) => asked)).toContain(
      `/api/v0/swarm/connect?arg=${encodeURIComponent("/ip4/203.0.113.1/tcp/4001/p2p/QmServicePeerId")}`,
    );
    await storage("download", cid, path.join(home, "public-out.txt"));
    const pinned = await storage("pin", cid, "--service", "pinning");
    expect(pinned).toMatchObject({ status: "pinned", cid });
    await storage("remove", pinned.id as string, "--service", "pinning");
    expect(service.pins).toHaveLength(1);
  });
});
