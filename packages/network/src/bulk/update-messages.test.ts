import { cidOf, sha256 } from "@skynet/protocol";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createAssembly } from "./assembly.ts";
import { CHUNK_BYTES, encodeAnswer, encodeOffer, parseAnswer, parseOffer } from "./update-messages.ts";

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const offer = fc.record({
  job: fc.uint8Array({ minLength: 1, maxLength: 32 }).map((id) => `0x${Buffer.from(id).toString("hex")}`),
  round: fc.nat(0xffffffff),
  kind: fc.constantFrom("weights", "masked-update"),
  size: fc.integer({ min: 1, max: 5 * CHUNK_BYTES }),
  hash,
});

test("offers and answers come back as they were sent", () => {
  fc.assert(
    fc.property(offer, (fields) => {
      const message = { ...fields, chunks: new Uint8Array(32 * Math.ceil(fields.size / CHUNK_BYTES)) };
      expect(parseOffer(encodeOffer(message))).toEqual(message);
    }),
    { seed: 1 },
  );
  const reason = "x".repeat(300);
  for (const answer of [{ t: "working" }, { t: "refused", reason: "no" }] as const)
    expect(parseAnswer(encodeAnswer(answer))).toEqual(answer);
  expect(parseAnswer(encodeAnswer({ t: "rejected", reason }))).toEqual({ t: "rejected", reason: reason.slice(0, 256) });
});

test("offers with a wrong number of chunk hashes, and frames that are no answer, are malformed", () => {
  const malformed = expect.objectContaining({ code: "Malformed" });
  const fields = { job: "0x01", round: 1, kind: "weights", size: CHUNK_BYTES + 1, hash: new Uint8Array(32) };
  for (const length of [0, 32, 63, 96])
    expect(() => parseOffer(encodeOffer({ ...fields, chunks: new Uint8Array(length) }))).toThrow(malformed);
  expect(() => parseAnswer(Uint8Array.of(0))).toThrow(malformed);
});

test("chunks are held in any order; what is missing is known by number, hash and size", async () => {
  const content = Uint8Array.from({ length: 2 * CHUNK_BYTES + 7 }, (_, i) => i % 253);
  const parts = [0, 1, 2].map((i) => content.slice(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES));
  const chunks = Buffer.concat(await Promise.all(parts.map(sha256)));
  const fields = { job: "0x01", round: 1, kind: "weights", size: content.length, hash: await sha256(content) };
  const assembly = createAssembly({ ...fields, chunks: Uint8Array.from(chunks) });
  for (const index of [2, 0, 0]) assembly.add(index, parts[index]!);
  expect(assembly.heldBytes).toBe(CHUNK_BYTES + 7);
  expect(assembly.missing()).toEqual([{ index: 1, ref: { cid: await cidOf(parts[1]!), size: CHUNK_BYTES } }]);
  await expect(assembly.content()).rejects.toMatchObject({ code: "Malformed" });
  assembly.add(1, parts[1]!);
  expect(Buffer.compare(await assembly.content(), content)).toBe(0);
});

test("chunks that fit their hashes but not the content's hash are not delivered", async () => {
  const chunk = Uint8Array.of(1, 2, 3);
  const fields = { job: "0x01", round: 1, kind: "weights", size: 3, hash: new Uint8Array(32) };
  const assembly = createAssembly({ ...fields, chunks: await sha256(chunk) });
  assembly.add(0, chunk);
  await expect(assembly.content()).rejects.toMatchObject({ code: "Malformed" });
});
