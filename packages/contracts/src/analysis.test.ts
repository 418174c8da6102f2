import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { accepted, differences, lint } from "../analyse.ts";

const answers = fs.readFileSync(path.join(import.meta.dirname, "..", "..", "..", "docs", "security.md"), "utf8");

describe("static analysis", () => {
  test("finds nothing but what docs/security.md answers", () => {
    expect(differences(lint(), accepted.solhint)).toEqual([]);
  });

  test.each(Object.entries(accepted))("every rule of %s that finds something has an answer", (_tool, findings) => {
    for (const rule of Object.keys(findings)) expect(answers).toContain(`\`${rule}\``);
  });

  test("would find what is wrong", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-lint-"));
    const file = path.join(folder, "Bad.sol");
    fs.writeFileSync(
      file,
      `// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

contract Bad {
    mapping(address => uint256) public balance;

    function take() public {
        require(tx.origin == msg.sender);
        msg.sender.call{value: balance[msg.sender]}("");
        balance[msg.sender] = 0;
    }
}
`,
    );
    try {
      const rules = Object.keys(lint(file));
      expect(rules).toEqual(expect.arrayContaining(["avoid-tx-origin", "no-unchecked-calls"]));
      expect(differences(lint(file), {}).length).toBeGreaterThanOrEqual(2);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });
});
