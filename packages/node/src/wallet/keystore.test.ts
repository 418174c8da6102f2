import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Keystore } from "ox";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { privateKeyToAddress } from "viem/accounts";
import { toHex } from "@skynet/protocol";
import { createKeystore, keystoreAddress, openKeystore, openKeystoreText } from "./keystore.ts";

let folder = "";
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-"));
});
afterAll(() => fs.rm(folder, { recursive: true }));

describe("keystore", () => {
  it("opens with its passphrase only, keeps its mode, and is never overwritten", async () => {
    const file = path.join(folder, "wallet.json");
    const key = randomBytes(32);
    const address = await createKeystore(file, key, "right");
    expect(address).toBe(privateKeyToAddress(toHex(key)).toLowerCase());
    expect(await keystoreAddress(file)).toBe(address);
    expect(toHex(await openKeystore(file, "right"))).toBe(toHex(key));
    await expect(openKeystore(file, "wrong")).rejects.toMatchObject({ code: "WrongPassphrase" });
    await expect(createKeystore(file, randomBytes(32), "x")).rejects.toMatchObject({ code: "WalletExists" });
    expect((await fs.stat(file)).mode & 0o777).toBe(0o600);
    expect(await fs.readFile(file, "utf8")).not.toContain(toHex(key).slice(2));
  });

  it("opens keystores that other software made (scrypt and pbkdf2)", async () => {
    const key = randomBytes(32);
    for (const make of [
      () => Keystore.pbkdf2({ password: "pw", iterations: 1000 }),
      () => Keystore.scrypt({ password: "pw", n: 1024 }),
    ]) {
      const [derived, options] = make();
      const file = path.join(folder, `${options.kdf}.json`);
      await fs.writeFile(file, JSON.stringify(Keystore.encrypt(new Uint8Array(key), derived, options)));
      expect(toHex(await openKeystore(file, "pw"))).toBe(toHex(key));
    }
  });

  it("refuses a cost that is beyond this machine as what it is, and asks for no such memory", async () => {
    const [derived, options] = Keystore.scrypt({ password: "pw", n: 1024 });
    const keystore = Keystore.encrypt(new Uint8Array(randomBytes(32)), derived, options);
    const withCost = (change: object) => {
      const { crypto } = keystore;
      return JSON.stringify({ ...keystore, crypto: { ...crypto, kdfparams: { ...crypto.kdfparams, ...change } } });
    };
    for (const change of [
      { r: 1_000_000 },
      { p: 1_000_000 },
      { n: 1_048_576, r: 32 },
      { n: 1000 },
      { n: 0 },
      { r: -8 },
    ])
      await expect(openKeystoreText(withCost(change), "pw", "imported.json")).rejects.toMatchObject({
        code: "BrokenWallet",
        message: expect.stringMatching(/scrypt/),
      });
    await expect(openKeystoreText(withCost({ salt: 5 }), "pw", "imported.json")).rejects.toMatchObject({
      code: "BrokenWallet",
    });
    expect(await openKeystoreText(withCost({}), "pw", "imported.json")).toHaveLength(32);
  });

  it("is broken when it names another address than that of its key", async () => {
    const file = path.join(folder, "renamed.json");
    await createKeystore(file, randomBytes(32), "pw", 1024);
    const keystore = JSON.parse(await fs.readFile(file, "utf8")) as { address: string };
    const changed = { ...keystore, address: "ab".repeat(20) };
    await fs.writeFile(file, JSON.stringify(changed));
    await expect(openKeystore(file, "pw")).rejects.toMatchObject({
      code: "BrokenWallet",
      message: expect.stringContaining(`0x${"ab".repeat(20)}`),
    });
    await fs.writeFile(file, JSON.stringify({ ...changed, address: `0x${keystore.address.toUpperCase()}` }));
    expect(await openKeystore(file, "pw")).toHaveLength(32);
  });

  it.each([
    ["nothing.json", undefined, "WalletNotFound"],
    ["text.json", "hello", "BrokenWallet"],
    ["other.json", '{"version":1}', "BrokenWallet"],
  ])("explains %s", async (name, content, code) => {
    const file = path.join(folder, name);
    if (content !== undefined) await fs.writeFile(file, content);
    await expect(openKeystore(file, "x")).rejects.toMatchObject({ code });
  });
});
