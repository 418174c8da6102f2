import fc from "fast-check";
import { stringToHex } from "viem";
import { describe, expect, test } from "vitest";
import { createDeliverySecret, deliveryPoint, keyCommitOf, openKey, sealKey } from "./key-delivery.ts";
import { addPoints, CURVE_ORDER, generator } from "./test-curve.ts";
import { badPoints } from "./test-market.ts";

describe("the delivery of keys", () => {
  test("secrets are never zero and never the order", () => {
    expect(createDeliverySecret((count) => new Uint8Array(count))).toBe(1n);
    const largest = createDeliverySecret((count) => new Uint8Array(count).fill(255));
    expect(largest > 0n && largest < CURVE_ORDER).toBe(true);
  });

  test("only the buyer's secret opens, whatever the secrets and the key are", () => {
    const scalar = fc.bigInt(1n, CURVE_ORDER - 1n);
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(scalar, scalar, bytes, (b, r, key) => {
        const delivery = sealKey(key, deliveryPoint(b), r);
        expect(openKey(delivery, b)).toEqual(key);
        const other = (b % (CURVE_ORDER - 1n)) + 1n;
        expect(openKey(delivery, other)).not.toEqual(key);
      }),
      { numRuns: 30 },
    );
  });

  test("refuses keys and points of the wrong form", () => {
    expect(() => keyCommitOf(new Uint8Array(31))).toThrow(expect.objectContaining({ code: "BadKey" }));
    expect(() => sealKey(new Uint8Array(33), generator, 5n)).toThrow(expect.objectContaining({ code: "BadKey" }));
    for (const R of Object.values(badPoints)) {
      const open = () => openKey({ R, sealedKey: stringToHex("x", { size: 32 }) }, 5n);
      expect(open).toThrow(expect.objectContaining({ code: "BadPoint" }));
    }
    expect(deliveryPoint(2n)).toEqual(addPoints(generator, generator));
  });
});
