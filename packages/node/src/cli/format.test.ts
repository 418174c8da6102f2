import { describe, expect, it } from "vitest";
import { formatAmount, formatBytes, formatGas, formatSeconds, isId, shortId } from "./format.ts";

describe("format", () => {
  it("shows amounts, bytes, times and ids as people read them", () => {
    expect(formatAmount(1_500_000n, { decimals: 6, symbol: "TEST" })).toBe("1.5 TEST");
    expect([0, 999, 1000, 1_234_567, 5e12].map(formatBytes)).toEqual(["0 B", "999 B", "1.0 kB", "1.2 MB", "5.0 TB"]);
    expect([0.44, 59.9, 61, 600].map(formatSeconds)).toEqual(["0.4 s", "59.9 s", "1 min 1 s", "10 min 0 s"]);
    expect([812_345n, 1_900_000].map(formatGas)).toEqual(["812 k", "1.90 M"]);
    expect(shortId(`0x${"ab".repeat(32)}`)).toBe("0xabababab…abab");
  });

  it("knows ids by their first digits and by the form that lists show", () => {
    const id = `0x${"12ab".repeat(16)}`;
    for (const text of [id, id.toUpperCase().replace("X", "x"), "0x12", shortId(id)]) expect(isId(id, text)).toBe(true);
    for (const text of ["", "0x", "12ab", "0x13", "0x12…0000", "0x12…ab…ab", "0x12 ", "…12ab"])
      expect(isId(id, text)).toBe(false);
  });
});
