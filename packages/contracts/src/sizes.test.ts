import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";

const folder = path.join(import.meta.dirname, "..");
const page = fs.readFileSync(path.join(folder, "..", "..", "docs", "contracts.md"), "utf8");

/** Bytes of the runtime code of every contract that was compiled. */
const sizes = new Map(
  fs.readdirSync(path.join(folder, "generated")).map((file) => {
    const source = fs.readFileSync(path.join(folder, "generated", file), "utf8");
    return [path.basename(file, ".ts"), Number(/deployedSize = (\d+)/.exec(source)?.[1])] as const;
  }),
);

/** Contracts of tests, but for the token that development chains get. */
const testOnly = new Set(
  fs
    .readdirSync(path.join(folder, "solidity", "test"))
    .map((file) => path.basename(file, ".sol"))
    .filter((name) => name !== "TestToken"),
);

describe("contract sizes", () => {
  test.each([...sizes])("%s fits EIP-170", (_name, size) => {
    expect(size).toBeGreaterThan(0);
    expect(size).toBeLessThanOrEqual(24_576);
  });

  test("are those that docs/contracts.md says, of every contract that is deployed", () => {
    const rows = [...page.matchAll(/^\| `(\w+)` \| ([\d,]+) \|/gm)];
    const documented = rows.map(([, name, size]) => [name, Number(size!.replaceAll(",", ""))]);
    const deployed = [...sizes].filter(([name]) => !testOnly.has(name));
    expect(new Map(documented as [string, number][])).toEqual(new Map(deployed));
  });
});
