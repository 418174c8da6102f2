import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventsOf, skynet } from "../../../../../tests/support/cli.ts";

const ptau = path.join(import.meta.dirname, "../../../../proof/fixtures/powers-of-tau-6.ptau");
let folder = "";
const file = (name: string) => path.join(folder, name);
const srs = (...args: string[]) => skynet(["srs", ...args], { cwd: folder });

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-srs-"));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

it("makes the development string that all share, and shows it", async () => {
  const made = await srs("create", "--size", "4", "--out", file("dev.srs"), "--json");
  expect(made.code).toBe(0);
  const result = eventsOf(made.stdout).at(-1)!;
  expect(result).toMatchObject({ size: 4, points: 16, origin: "development", insecure: true });
  const shown = await srs("show", file("dev.srs"), "--json");
  expect(eventsOf(shown.stdout).at(-1)).toEqual(result);
  const again = await srs("create", "--size", "4", "--out", file("again.srs"));
  expect(again.stdout).toContain(result.hash);
  expect(again.stdout).toMatch(/secure {2}no/);
  const random = await srs("create", "--size", "4", "--random", "--out", file("random.srs"));
  expect(random.stdout).not.toContain(result.hash);
});

it("imports a ceremony's file and writes the result as JSON", async () => {
  const { code, stdout } = await srs(
    "import",
    ptau,
    "--size",
    "5",
    "--out",
    file("main.srs"),
    "--json",
    file("r.json"),
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(/ceremony/);
  const result = JSON.parse(await fs.readFile(file("r.json"), "utf8")) as Record<string, unknown>;
  expect(result).toMatchObject({ size: 5, points: 32, origin: "ptau", insecure: false });
  expect((await srs("show", file("main.srs"))).stdout).toContain(result.hash);
});

it.each([
  ["a missing .ptau file", ["import", "nowhere.ptau", "--size", "5", "--out", "x.srs"], 1, /cannot be read/],
  ["a folder", ["import", ".", "--size", "5", "--out", "x.srs"], 1, /not a file|cannot be read/],
  ["a power that is too small", ["import", ptau, "--size", "7", "--out", "x.srs"], 1, /fewer than 2\^7/],
  ["a .ptau file where a string is needed", ["show", ptau], 1, /not a reference string/],
  ["a string where a .ptau file is needed", ["import", "dev.srs", "--size", "4", "--out", "x.srs"], 1, /not a \.ptau/],
  ["a missing string", ["show", "nowhere.srs"], 1, /does not exist/],
  ["a size out of bounds", ["create", "--size", "17", "--out", "x.srs"], 2, /from 1 to 16/],
  ["no output", ["create", "--size", "4"], 2, /--out/],
])("explains %s", async (_name, args, code, message) => {
  const result = await srs(...args);
  expect(result.stderr).toMatch(message);
  expect(result.code).toBe(code);
  expect(result.stderr).not.toMatch(/\n\s+at /);
  await expect(fs.access(file("x.srs"))).rejects.toThrow();
});
