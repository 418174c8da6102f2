import type { Hex } from "@skynet/protocol";
import { privateKeyToAccount } from "viem/accounts";
import { expect, test } from "vitest";
import { recoverJobMessage, signJobMessage } from "./signatures.ts";

const account = privateKeyToAccount(`0x${"11".repeat(32)}`);
const domain = { chainId: 31337, jobBoard: `0x${"22".repeat(20)}` as Hex };
const message = { jobId: `0x${"33".repeat(32)}` as Hex, keyRef: `0x${"44".repeat(32)}` as Hex };
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

test("only the form of a signature that the contracts accept is recovered", async () => {
  const good = await signJobMessage(account, domain, "Ready", message);
  expect(await recoverJobMessage(domain, "Ready", message, good)).toBe(account.address.toLowerCase());
  const v = Number.parseInt(good.slice(-2), 16);
  const highS = (ORDER - BigInt(`0x${good.slice(66, 130)}`)).toString(16).padStart(64, "0");
  const others: Hex[] = [
    `${good.slice(0, -2)}0${v - 27}` as Hex,
    `${good.slice(0, 66)}${highS}${(55 - v).toString(16)}` as Hex,
    good.slice(0, -2) as Hex,
    `${good}00`,
    `0x${"00".repeat(65)}`,
  ];
  for (const signature of others)
    await expect(recoverJobMessage(domain, "Ready", message, signature)).rejects.toMatchObject({
      code: "BadSignature",
    });
});
