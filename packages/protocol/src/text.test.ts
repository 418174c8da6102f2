import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cleanText, printable } from "./text.ts";

it("printable text shows where something was hidden, and keeps joiners", () => {
  expect(printable("a\u001b[2Jb\u202Ec\nd")).toBe("a�[2Jb�c�d");
  expect(printable("👩‍👩‍👧 नमस्ते")).toBe("👩‍👩‍👧 नमस्ते");
});

describe("cleanText", () => {
  it.each([
    ["plain", "fashion-mnist, 784-128-10", "fashion-mnist, 784-128-10"],
    ["escape sequences", "\u001b[31mred\u001b[0m \u009b2J", "[31mred[0m 2J"],
    ["new lines and tabs", " a\n\tb\r\nc ", "a b c"],
    ["reversed writing", "pay \u202Egnp.exe\u202C \u2066now\u2069", "pay gnp.exe now"],
    ["invisible letters", "pay\u200Bpal\uFEFF\u2060", "paypal"],
    ["tags and lone surrogates", "a\u{E0041}\u{E007F}b\uD800c", "abc"],
    ["NUL", "a\0b", "ab"],
    ["a family with joiners", "👩‍👩‍👧 नमस्ते", "👩‍👩‍👧 नमस्ते"],
    [
      "letters of all scripts",
      "Handgeschriebene Ziffern, 手書きの数字 ✍️",
      "Handgeschriebene Ziffern, 手書きの数字 ✍️",
    ],
    ["private characters", "a\uE000\u{F0000}b", "ab"],
    ["nothing", "\u0000\u200B \n", ""],
  ])("%s", (_name, dirty, clean) => {
    expect(cleanText(dirty)).toBe(clean);
  });

  it("cuts by whole characters and says so", () => {
    expect(cleanText("abcdef", 6)).toBe("abcdef");
    expect(cleanText("abcdefg", 6)).toBe("abcde…");
    expect(cleanText("😀".repeat(10), 3)).toBe("😀😀…");
    expect(cleanText("✍️".repeat(300), 10)).toHaveLength(10);
  });

  it("a text of 100 MB is cut, too", () => {
    expect(cleanText("\u0000a".repeat(50_000_000)).length).toBeLessThanOrEqual(200);
  });

  it("is short, clean and stable for whatever comes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 400 }), fc.integer({ min: 1, max: 100 }), (text, most) => {
        const clean = cleanText(text, most);
        expect([...clean].length).toBeLessThanOrEqual(most);
        expect(clean).not.toMatch(/[\p{Cc}\u202A-\u202E\u2066-\u2069\uD800-\uDFFF]/u);
        expect(cleanText(clean, most)).toBe(clean);
      }),
    );
  });
});
