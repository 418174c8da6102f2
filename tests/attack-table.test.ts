import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.join(import.meta.dirname, "..");
const page = fs.readFileSync(path.join(root, "docs", "security.md"), "utf8");
const section = page.slice(page.indexOf("## Attacks and their tests"));
const rows = section.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| attack"));
const named = [...section.matchAll(/\]\(\.\.\/([^)]+)\): \*([^*]+)\*/g)].map(
  (match) => [match[1]!, match[2]!] as const,
);

describe("the table of attacks", () => {
  it("has a test for each", () => {
    expect(rows.length).toBeGreaterThan(30);
    for (const row of rows) expect(row).toMatch(/\]\(\.\.\/[^)]+\): \*/);
  });

  it.each(named)("%s has the test: %s", (file, name) => {
    const source = fs.readFileSync(path.join(root, file), "utf8");
    expect(file).toMatch(/\.test\.ts$/);
    expect(source).toContain(`"${name}"`);
  });
});
