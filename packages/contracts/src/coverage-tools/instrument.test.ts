import { expect, test } from "vitest";
import { instrument } from "./instrument.ts";
import { formatReport, summarize } from "./report.ts";

const source = `// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

contract Example {
    // a comment with more bytes than letters: r·G
    function f(uint256 a) external pure returns (uint256) {
        require(a > 0, "zero");
        if (a > 5) return a > 7 ? 1 : 2;
        else if (a == 4) a += 1;
        for (uint256 i = 0; i < a; ++i) a -= 1;
        return a;
    }
}
`;

const { sources, marks } = instrument({ "a/Example.sol": source, "Other.sol": source }, (file) => file !== "Other.sol");
const markOf = (text: string, kind: "statement" | "decision") =>
  marks.find((mark) => mark.text.startsWith(text) && mark.kind === kind)!;

test("statements and decisions are marked, bodies become blocks, and other files stay as they are", () => {
  expect(sources["Other.sol"]).toBe(source);
  const marked = sources["a/Example.sol"]!;
  expect(marked).toContain('import {Coverage} from "../Coverage.sol";');
  expect(marked).toContain(`require(Coverage.test(${markOf("a > 0", "decision").id}, a > 0), "zero");`);
  expect(marked).toContain(`{ Coverage.hit(${markOf("return a > 7", "statement").id}); return `);
  expect(marked).toContain(`{ Coverage.hit(${markOf("a += 1", "statement").id}); a += 1; }`);
  const lines = (wanted: string) =>
    marks.flatMap(({ kind, line }) => (kind === wanted ? [line] : [])).toSorted((a, b) => a - b);
  expect(lines("decision")).toEqual([7, 8, 8, 9, 10]);
  expect(lines("statement")).toEqual([7, 8, 8, 9, 9, 10, 10, 11]);
});

test("the report counts lines with a statement that ran, and both ways of every decision", () => {
  const positive = markOf("a > 0", "decision").id + 1;
  const large = markOf("a > 5", "decision").id;
  const hits = new Set([positive, large, large + 1, markOf("return a > 7", "statement").id]);
  const summary = summarize(marks, hits);
  expect(summary.total.lines).toEqual({ covered: 1, total: 5, percent: 20 });
  expect(summary.total.branches).toEqual({ covered: 3, total: 10, percent: 30 });
  expect(summary.missing).toContain("always yes  a/Example.sol:7  a > 0");
  expect(summary.missing).toContain("never ran   a/Example.sol:11  return a");
  expect(formatReport(summary)).toMatch(/^all +20\.0 % \(1\/5\) +30\.0 % \(3\/10\)$/m);
});
