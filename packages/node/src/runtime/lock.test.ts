import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { lockFolder } from "./lock.ts";

test("a data folder belongs to one live process", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-lock-"));
  const dead = spawnSync(process.execPath, ["-e", "process.stdout.write(String(process.pid))"]).stdout.toString();
  fs.writeFileSync(path.join(folder, "lock"), dead);
  const unlock = lockFolder(folder);
  expect(fs.readFileSync(path.join(folder, "lock"), "utf8")).toBe(String(process.pid));
  unlock();
  expect(fs.existsSync(path.join(folder, "lock"))).toBe(false);
  fs.writeFileSync(path.join(folder, "lock"), String(process.ppid));
  expect(() => lockFolder(folder)).toThrow(expect.objectContaining({ code: "FolderInUse" }));
  fs.rmSync(folder, { recursive: true });
});
