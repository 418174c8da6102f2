import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { createSecretWindows } from "./support/secret-windows.ts";

const secret = createHash("shake256", { outputLength: 600 }).update("secret").digest();
const secrets = createSecretWindows();
secrets.add("secret", secret);

/** What is found in a part of the secret, in some form, between other bytes. */
function findPart(from: number, length: number, form: BufferEncoding): string[] {
  const part = secret.subarray(from, from + length);
  const said = form === "latin1" ? part : Buffer.from(part.toString(form));
  const other = (at: number) => Buffer.alloc(20, ~(secret[at] ?? 0));
  return [...secrets.findIn(Buffer.concat([other(from - 1), said, other(from + length)]))];
}

test("any 16 bytes in a row of a secret are found, wherever they begin, and 15 are not", () => {
  for (let from = 0; from + 16 <= secret.length; from++) {
    expect(findPart(from, 16, "latin1"), `16 from ${from}`).toEqual(["secret"]);
    expect(findPart(from, 15, "latin1"), `15 from ${from}`).toEqual([]);
  }
});

test("16 bytes of it as text in hexadecimal or base64 are found", () => {
  for (let from = 0; from + 18 <= secret.length; from++) {
    expect(findPart(from, 16, "hex"), `${from}`).toEqual(["secret (hex)"]);
    // Text of 18 bytes, since the first and last characters may depend on what is around it.
    expect(findPart(from, 18, "base64"), `${from}`).toEqual(["secret (base64)"]);
  }
});
