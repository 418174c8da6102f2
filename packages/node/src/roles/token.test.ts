import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { skynetAddresses, startAnvil, type Anvil } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import { concat, createTestClient, encodeAbiParameters, http, numberToHex, size } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tokenInfo, tokenOrDefault } from "./token.ts";

let folder = "";
let anvil: Anvil;
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-token-"));
  anvil = await startAnvil({ dataDir: folder, blockTimeSeconds: 0 });
});
afterAll(async () => {
  await anvil.stop();
  await fs.rm(folder, { recursive: true, force: true });
});

const TOKEN: Hex = `0x${"70".repeat(20)}`;

/** Puts a contract on the chain that answers decimals(), and everything else with a symbol. */
async function putToken(symbol: string, decimals: number): Promise<void> {
  const text = encodeAbiParameters([{ type: "string" }], [symbol]);
  const length = numberToHex(size(text), { size: 2 });
  // 15 bytes ask for the selector of decimals(), 13 return the text, 9 the number; the text follows them.
  const bytecode = concat([
    concat(["0x5f3560e01c63313ce5671461", numberToHex(28, { size: 2 }), "0x57"]),
    concat(["0x61", length, "0x61", numberToHex(37, { size: 2 }), "0x5f39", "0x61", length, "0x5ff3"]),
    concat(["0x5b60", numberToHex(decimals, { size: 1 }), "0x5f5260205ff3"]),
    text,
  ]);
  await createTestClient({ mode: "anvil", transport: http(anvil.rpcUrl) }).setCode({ address: TOKEN, bytecode });
}

describe("the token to pay with", () => {
  it("is the one that is named, else the test token, which public chains do not have", () => {
    const addresses = skynetAddresses();
    expect(tokenOrDefault({ chainId: 31_337, addresses }, undefined)).toBe(addresses.testToken);
    expect(tokenOrDefault({ chainId: 534_352, addresses }, TOKEN)).toBe(TOKEN);
    expect(() => tokenOrDefault({ chainId: 534_352, addresses }, undefined)).toThrow("no token is named");
  });
});

describe("what a token says of itself", () => {
  it("is shown as it is if it is decent", async () => {
    await putToken("TEST", 6);
    expect(await tokenInfo(anvil.rpcUrl, TOKEN)).toEqual({ decimals: 6, symbol: "TEST" });
  });

  it("does not reach the terminal as escape sequences, other lines or a whole page", async () => {
    await putToken("\u001B]0;owned\u0007\u001B[2JUSD\u202E\n\u009B31mC", 36);
    const { decimals, symbol } = await tokenInfo(anvil.rpcUrl, TOKEN);
    expect(decimals).toBe(36);
    expect(symbol).toBe("]0;owned[2JUSD …");
    await putToken("A".repeat(5000), 6);
    expect((await tokenInfo(anvil.rpcUrl, TOKEN)).symbol).toBe(`${"A".repeat(15)}…`);
  });

  it("is refused with decimals that no amount can be shown in, and where there is no token", async () => {
    await putToken("TEST", 37);
    await expect(tokenInfo(anvil.rpcUrl, TOKEN)).rejects.toMatchObject({
      code: "NotToken",
      message: expect.stringContaining("37 decimals") as unknown,
    });
    await expect(tokenInfo(anvil.rpcUrl, `0x${"71".repeat(20)}`)).rejects.toMatchObject({
      code: "NotToken",
      message: expect.stringContaining("there is no ERC-20 token at 0x7171") as unknown,
      hint: expect.stringMatching(/--token.*job file.*listing.*--rpc/) as unknown,
    });
  });
});
