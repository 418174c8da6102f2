import { spawn } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = path.join(import.meta.dirname, "..");
let folder = "";

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-setup-"));
  await fs.mkdir(path.join(folder, "packages"));
  await fs.cp(path.join(root, "scripts"), path.join(folder, "scripts"), { recursive: true });
  for (const name of ["package.json", ".npmrc"]) await fs.copyFile(path.join(root, name), path.join(folder, name));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

/** Runs the set-up against a registry that is not there, with an empty cache. */
function setUpOffline() {
  return new Promise<{ code: number | null; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [path.join(folder, "scripts", "setup.mjs")], {
      env: {
        ...process.env,
        CI: "true",
        npm_config_registry: "http://127.0.0.1:1/",
        npm_config_cache: path.join(folder, "cache"),
        npm_config_fetch_retries: "0",
        npm_config_userconfig: path.join(folder, "none"),
      },
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on("close", (code) => resolve({ code, stderr }));
  });
}

describe("set-up", () => {
  it("without network and cache says so, ends with an error, and leaves no stamp of something unfinished", async () => {
    const { code, stderr } = await setUpOffline();
    expect(code).toBe(1);
    expect(stderr).toMatch(/npm registry cannot be reached and the packages are not in npm's cache/);
    expect(stderr).toMatch(/run the same command again/);
    const stamps = await fs.readdir(path.join(folder, ".toolchain")).catch(() => []);
    expect(stamps.filter((name) => name.endsWith(".stamp"))).toEqual([]);
  });

  it("is plain JavaScript without dependencies, because it runs before anything is installed", async () => {
    const source = await fs.readFile(path.join(root, "scripts", "setup.mjs"), "utf8");
    const imports = [...source.matchAll(/from "([^"]+)"/g)].map((match) => match[1]!);
    expect(imports.every((name) => name.startsWith("node:"))).toBe(true);
  });
});
