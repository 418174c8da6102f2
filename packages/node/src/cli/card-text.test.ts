import { parseCard } from "@skynet/protocol";
import { expect, it } from "vitest";
import { cardText } from "./card-text.ts";

const show = (text: string) => cardText(parseCard(new TextEncoder().encode(text)));

it("shows headings, lines and tables without Markdown", () => {
  const card =
    "# Some \\*data\\*\n\n| name | rows |\n| --- | --- |\n| a\\|b | 1,200 |\n| c | 7 |\n\n```yaml\na:\n  b: 1\n```\n";
  const text = show(card);
  expect(text).toContain("Some *data*\n");
  expect(text).toMatch(/│ a\|b\s+│ 1,200 │/);
  expect(text).toMatch(/│ c\s+│     7 │/);
  expect(text).toContain("a:\n  b: 1");
  expect(text).not.toMatch(/```|---/);
});

it("a card of a stranger cannot steer the terminal, nor fill it", () => {
  const text = show(`# \u001b]0;owned\u0007\u001b[2J\n${"x".repeat(10_000)}\n${"| a |\n".repeat(20_000)}`);
  // oxlint-disable-next-line no-control-regex
  expect(text.replaceAll(/\u001b\[[\d;]*m/g, "")).not.toMatch(/[\u001b\u0007]/);
  expect(text.length).toBeLessThan(20_000);
  expect(text).toContain("more lines: --card FILE saves all of it");
});

it("shows some columns and rows of a table that has many, and says how many it leaves out", () => {
  const row = (cell: string) => `|${` ${cell} |`.repeat(200)}\n`;
  const text = show(`${row("h")}${row("---")}${row("1").repeat(250)}`);
  expect(
    text
      .split("\n")
      .find((line) => line.includes("1"))!
      .match(/1/g),
  ).toHaveLength(16);
  expect(text.match(/^│.* 1 /gm)).toHaveLength(200);
  expect(text).toContain("and 184 more columns and 50 more rows: --card FILE saves all of it");
});
