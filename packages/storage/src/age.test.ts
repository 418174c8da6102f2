import { expect, test } from "vitest";
import { decryptBlock, encryptBlock, generateDataKey } from "./age.ts";

const secret = new TextEncoder().encode("a batch");

test("every recipient reads a block, and nobody else does", async () => {
  const [a, b, c] = await Promise.all([generateDataKey(), generateDataKey(), generateDataKey()]);
  const block = await encryptBlock(secret, [a.recipient, b.recipient]);
  expect(Buffer.from(block).includes(Buffer.from(secret))).toBe(false);
  expect(await decryptBlock(block, a.identity)).toEqual(secret);
  expect(await decryptBlock(block, b.identity)).toEqual(secret);
  await expect(decryptBlock(block, c.identity)).rejects.toMatchObject({ code: "CannotDecrypt" });
});

test("changed blocks and bad keys are typed errors", async () => {
  const { identity, recipient } = await generateDataKey();
  const block = await encryptBlock(secret, [recipient]);
  await expect(decryptBlock(block.with(200, block[200]! ^ 1), identity)).rejects.toMatchObject({
    code: "CannotDecrypt",
  });
  await expect(decryptBlock(secret, identity)).rejects.toMatchObject({ code: "CannotDecrypt" });
  await expect(decryptBlock(block, "secret")).rejects.toMatchObject({ code: "BadKey" });
  await expect(encryptBlock(secret, ["age1nonsense"])).rejects.toMatchObject({ code: "BadKey" });
  await expect(encryptBlock(secret, [])).rejects.toMatchObject({ code: "BadKey" });
});
