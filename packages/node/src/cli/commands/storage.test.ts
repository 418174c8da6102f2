import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { createProgram } from "../program.ts";

// The real one lets go of the channel to the parent, which is that of the tests.
vi.mock("../../runtime/shutdown.ts", () => ({ shutdownSignal: () => new AbortController().signal }));

let folder = "";
const file = (name: string) => path.join(folder, name);

/** Runs a command here. @returns what it writes with --json */
async function storage(...args: string[]): Promise<Record<string, unknown>> {
  const program = await createProgram(["storage"]);
  const paths = args.map((arg) => (/^(one|two|three|nowhere|.*\.(csv|car))$/.test(arg) ? file(arg) : arg));
  await program.parseAsync(["storage", ...paths, "--json", file("result.json")], { from: "user" });
  return JSON.parse(await fs.readFile(file("result.json"), "utf8")) as Record<string, unknown>;
}

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-storage-"));
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
});
afterAll(async () => {
  vi.restoreAllMocks();
  await fs.rm(folder, { recursive: true, force: true });
});

it("adds a file, moves it to another folder as a CAR, and gives it back there; what is released can go", async () => {
  const content = Buffer.alloc(1_500_000, "id,label\n");
  await fs.writeFile(file("data.csv"), content);
  const added = await storage("add", "data.csv", "--data", "one", "--public");
  const cid = added.cid as string;
  expect(added).toMatchObject({ cid: expect.stringMatching(/^bafybei/) as string, blocks: 3 });
  await storage("export", cid, "data.car", "--data", "one");
  const imported = await storage("import", "data.car", "--data", "two");
  expect(imported).toMatchObject({ roots: [cid], blocks: 3 });
  await storage("get", cid, "back.csv", "--data", "two");
  expect(content.equals(await fs.readFile(file("back.csv")))).toBe(true);
  const listed = await storage("pins", "--data", "one");
  expect(listed).toMatchObject({ pins: [{ name: `public:${cid}`, blocks: 3 }] });
  const shown = await storage("show", "--data", "two", "--storage-quota", "1GB");
  expect(shown).toMatchObject({ blocks: 3, quotaBytes: 1e9, unpinned: { blocks: 0 } });
  await storage("pins", "--data", "two", "--release", `file:${cid}`);
  expect(await storage("show", "--data", "two")).toMatchObject({ unpinned: { blocks: 3 } });
  expect(await storage("gc", "--dry-run", "--data", "two")).toMatchObject({ dryRun: true, blocks: 0 });
  expect(await storage("verify", "--data", "two")).toMatchObject({ good: { blocks: 3 }, lost: [] });
});

it("what fails leaves the store as it was; what nothing holds goes at once if that is asked for", async () => {
  await fs.writeFile(file("small.csv"), Buffer.alloc(1_500_000, "small"));
  await fs.writeFile(file("large.csv"), Buffer.alloc(1_500_000, "small"));
  await fs.appendFile(file("large.csv"), randomBytes(3_000_000));
  const shown = async () => (await storage("show", "--data", "three")) as { bytes: number };
  const { cid } = await storage("add", "small.csv", "--data", "three");
  const large = await storage("add", "large.csv", "--data", "two");
  await storage("export", large.cid as string, "large.car", "--data", "two");
  const car = await fs.readFile(file("large.car"));
  await fs.writeFile(file("damaged.car"), car.fill(0, car.length - 10));
  await storage("pins", "--data", "three", "--release", `file:${cid as string}`);
  const before = await shown();
  await expect(storage("import", "damaged.car", "--data", "three")).rejects.toMatchObject({ code: "CorruptBlock" });
  expect(await shown()).toEqual(before);
  expect(await storage("pins", "--data", "three")).toEqual({ pins: [] });
  expect(await storage("gc", "--data", "three")).toMatchObject({ blocks: 0 });
  expect(await storage("gc", "--now", "--data", "three")).toMatchObject({ bytes: before.bytes });
});

it.each([
  ["a folder without blocks", ["show", "--data", "nowhere"], /no blocks in .*nowhere/],
  ["a quota that is none", ["show", "--storage-quota", "20"], /such as 500MB/],
  ["a file that is no CAR", ["import", "data.csv", "--data", "one"], /byte 0: it does not begin like a CAR/],
  ["a pin that is none", ["pins", "--release", "job:1", "--data", "one"], /no pin job:1/],
])("explains %s", async (_name, args, message) => {
  await expect(storage(...args)).rejects.toThrow(message);
});
