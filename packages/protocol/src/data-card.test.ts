import fc from "fast-check";
import { expect, it } from "vitest";
import { MAX_CARD_BYTES, parseCard } from "./data-card.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const clean = (text: string) => parseCard(bytesOf(text));

it("keeps what a card consists of", () => {
  const card =
    "# Digits \\*8 x 8\\*\n\n| a | b |\n| --- | --- |\n| \\<b\\> | 1 |\n\n```yaml\nsplit:\n  test: 0.2\n```\n";
  expect(clean(card)).toBe(card);
});

it.each([
  ["control characters", "a\u001b[2Jb\u0007\u009b2Jc\0", "a[2Jb2Jc\n"],
  ["what turns text around", "pay \u202Egnp.exe\u202C", "pay gnp.exe\n"],
  ["other ends of lines", "a\r\nb\rc\n", "a\nb\nc\n"],
  ["HTML", "<script>x</script> <!-- a --> 1 < 2 <a@b.c>", "\\<script>x\\</script> \\<!-- a --> 1 < 2 \\<a@b.c>\n"],
  ["HTML behind an escaped backslash", "\\\\<img src=x>", "\\\\\\<img src=x>\n"],
  ["pictures, which a preview would load", "![x](http://spy.example/1.png)", "\\![x](http://spy.example/1.png)\n"],
])("takes away %s", (_what, dirty, expected) => {
  expect(clean(dirty)).toBe(expected);
});

it("refuses what is empty, too long, or no text", () => {
  expect(() => clean(" \n\u0000")).toThrow("it is empty");
  expect(() => parseCard(new Uint8Array(MAX_CARD_BYTES + 1).fill(97))).toThrow("262145 bytes");
  expect(() => parseCard(Uint8Array.of(0xff, 0xfe))).toThrow("UTF-8");
});

it("a card of backslashes ends: each is looked at a few times only", () => {
  const slashes = "\\".repeat(250_000);
  expect(clean(slashes)).toBe(`${slashes}\n`);
  expect(clean(`${slashes}<b>`)).toBe(`${slashes}\\<b>\n`);
});

it("is the same when it is cleaned twice, and holds no markup, whatever comes", () => {
  const letters = fc.constantFrom("<", "\\", "!", "[", "a", "/", "\n", "\r", "\t", "\u001b", "\u202e", " ");
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 40 }), (parts) => {
      const once = clean(`x${parts.join("")}`);
      expect(clean(once)).toBe(once);
      // oxlint-disable-next-line no-control-regex
      expect(once).not.toMatch(/[\u001b\u202e\r]|(?<!\\)(\\\\)*(<[a-z/!]|!\[)/i);
    }),
  );
});
