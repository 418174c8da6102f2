import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Keystore } from "ox";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { privateKeyToAddress } from "viem/accounts";
import { toHex } from "@skynet/protocol";
import { createKeystore, keystoreAddress, openKeystore } from "./keystore.ts";

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
