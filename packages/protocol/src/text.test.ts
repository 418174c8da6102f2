import { describe, expect, it } from "vitest";
import { cleanText } from "./text.ts";

describe("text of strangers", () => {
  it("keeps letters of all scripts", () => {
    expect(cleanText("Handgeschriebene Ziffern, 手書きの数字 ✍")).toBe("Handgeschriebene Ziffern, 手書きの数字 ✍");
  });

  it("loses line breaks, escape sequences and marks of direction", () => {
    expect(cleanText("good\n\u001b[2Jevil \u202Egnp.exe\u2069 \u200bend")).toBe("good [2Jevil gnp.exe end");
  });

  it("is cut where it is too long, between characters", () => {
    expect(cleanText("✍️".repeat(300), 10)).toHaveLength(10);
    expect(cleanText("😀".repeat(11), 10)).toBe(`${"😀".repeat(9)}…`);
  });
});
