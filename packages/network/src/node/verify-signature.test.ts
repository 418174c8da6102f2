import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak256 } from "@skynet/protocol";
import { expect, test } from "vitest";
import { createPortableVerifier } from "../identity/verify-signature.ts";
import { createRandom } from "../mutate.ts";
import { identityOf } from "../testing.ts";
import { createVerifier } from "./verify-signature.ts";

const random = createRandom(5);
const bytes = (length: number) => Uint8Array.from({ length }, () => random(256));
const native = createVerifier();
const portable = createPortableVerifier();

function signed(n: number, length: number) {
  const { privateKey, compressedPublicKey: key } = identityOf(n);
  const message = bytes(length);
  return { message, key, signature: secp256k1.sign(keccak256(message), privateKey, { prehash: false }) };
}

test("OpenSSL and JavaScript agree about right signatures and about altered ones", () => {
  for (let n = 1; n <= 20; n++) {
    const { message, key, signature } = signed(n, random(2000));
    expect([native, portable].map((verify) => verify(signature, message, key))).toEqual([true, true]);
    for (const part of [signature, message, key]) {
      if (part.length === 0) continue;
      const at = random(part.length);
      part[at]! ^= 1 << random(8);
      expect(native(signature, message, key), `signature ${n}`).toBe(portable(signature, message, key));
      expect(native(signature, message, key)).toBe(false);
    }
  }
});

test("high s, values out of range, keys off the curve and wrong lengths are refused by both", () => {
  const { message, key, signature } = signed(1, 100);
  const { n } = secp256k1.Point.CURVE();
  const word = (value: bigint) => Buffer.from(value.toString(16).padStart(64, "0"), "hex");
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
  const half = n / 2n;
  const signatures = [
    Buffer.concat([r, word(n - BigInt(`0x${Buffer.from(s).toString("hex")}`))]),
    Buffer.concat([r, word(half + 1n)]),
    Buffer.concat([r, word(0n)]),
    Buffer.concat([word(0n), s]),
    Buffer.concat([word(n), s]),
    Buffer.alloc(64),
    Buffer.from(signature.subarray(0, 63)),
    Buffer.concat([signature, Buffer.of(1)]),
    Buffer.alloc(0),
  ];
  for (const verify of [native, portable]) {
    expect(verify(signature, message, key)).toBe(true);
    for (const [i, wrong] of signatures.entries()) expect(verify(wrong, message, key), `signature ${i}`).toBe(false);
    const keys = [new Uint8Array(33), new Uint8Array(33).fill(2), Uint8Array.of(2, ...new Uint8Array(32).fill(0xff))];
    for (const wrong of [...keys, key.subarray(1), new Uint8Array()])
      expect(verify(signature, message, wrong)).toBe(false);
  }
});
