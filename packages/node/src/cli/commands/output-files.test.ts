import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { exportModel, initialWeights } from "@skynet/proof";
import { smallProgram } from "../../../../swarm/src/simulation.ts";
import { checkRoom, writeBought } from "../../market/bought-files.ts";
import { createProgram } from "../program.ts";

// The real one lets go of the channel to the parent, which is that of the tests.
vi.mock("../../runtime/shutdown.ts", () => ({ shutdownSignal: () => new AbortController().signal }));

const fixtures = path.join(import.meta.dirname, "../../../../storage/fixtures");
const csv = "a,b,class\n1,2,x\n3,4,y\n";
let folder = "";
const file = (name: string) => path.join(folder, name);
const read = (name: string) => fs.readFile(file(name), "utf8");

/** Runs a command here, in the folder. @returns what it writes with --json */
async function skynet(...args: string[]): Promise<Record<string, unknown>> {
  const program = await createProgram([args[0]!]);
  const paths = args.map((arg) => (arg.startsWith("@") ? file(arg.slice(1)) : arg));
  await program.parseAsync([...paths, "--json", file("result.json")], { from: "user" });
  return JSON.parse(await read("result.json")) as Record<string, unknown>;
}

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-outputs-"));
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  await fs.writeFile(file("data.csv"), csv);
  await fs.writeFile(file("dataset.yaml"), "train: data.csv\n");
  await fs.symlink(file("data.csv"), file("link.csv"));
  await fs.mkdir(file("images/cats"), { recursive: true });
  const sharp = (await import("sharp")).default;
  for (const name of ["0.png", "1.png"])
    await sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } }).toFile(
      file(`images/cats/${name}`),
    );
});
afterAll(async () => {
  vi.restoreAllMocks();
  await fs.rm(folder, { recursive: true, force: true });
});

describe("data inspect", () => {
  it.each([
    ["the dataset", ["@data.csv", "--card", "@data.csv"], "data.csv"],
    ["the dataset, by another name", ["@data.csv", "--card", "@link.csv"], "data.csv"],
    ["the test data", ["@data.csv", "--test", "@dataset.csv", "--card", "@dataset.csv"], "dataset.csv"],
    ["the dataset.yaml", ["@dataset.yaml", "--card", "@dataset.yaml"], "dataset.yaml"],
    ["the data of a dataset.yaml", ["@dataset.yaml", "--card", "@data.csv"], "data.csv"],
    ["an image that is trained on", ["@images", "--sheet", "@images/cats/0.png"], "images/cats/0.png"],
  ])("does not write over %s, not even with --force", async (_what, args, kept) => {
    await fs.writeFile(file("dataset.csv"), csv);
    const before = await fs.readFile(file(kept));
    for (const force of [[], ["--force"]])
      await expect(skynet("data", "inspect", ...args, ...force)).rejects.toMatchObject({
        code: "FileExists",
        hint: expect.stringContaining("choose another name") as string,
      });
    expect((await fs.readFile(file(kept))).equals(before)).toBe(true);
  });

  it("keeps a card that somebody has edited, unless --force says otherwise", async () => {
    await fs.writeFile(file("card.md"), "edited by hand");
    const inspect = ["data", "inspect", "@data.csv", "--card", "@card.md"];
    await expect(skynet(...inspect)).rejects.toMatchObject({
      code: "FileExists",
      hint: expect.stringContaining("--force") as string,
    });
    expect(await read("card.md")).toBe("edited by hand");
    await skynet(...inspect, "--force");
    expect(await read("card.md")).toContain("# data");
  });

  it("shows images all the same when a contact sheet of the usual name is there, and keeps that", async () => {
    vi.spyOn(process, "cwd").mockReturnValue(folder);
    await fs.writeFile(file("images.contact-sheet.png"), "mine");
    expect(await skynet("data", "inspect", "@images")).toMatchObject({ rows: 2 });
    expect(await read("images.contact-sheet.png")).toBe("mine");
    expect(await skynet("data", "inspect", "@images", "--force")).toMatchObject({ sheet: "images.contact-sheet.png" });
    expect(await read("images.contact-sheet.png")).toContain("PNG");
  });

  it.each(["@data.csv/card.md", "/proc/card.md", "@images"])("explains that %s cannot be written", async (place) => {
    await expect(skynet("data", "inspect", "@data.csv", "--card", place)).rejects.toMatchObject({
      name: "StorageError",
      hint: expect.any(String) as string,
    });
  });
});

it("storage get and export keep a file that is there, unless --force says otherwise", async () => {
  const { cid } = (await skynet("storage", "add", path.join(fixtures, "sklearn/iris.csv"), "--data", "@node")) as {
    cid: string;
  };
  for (const command of ["get", "export"]) {
    await fs.writeFile(file("mine"), "mine");
    const write = ["storage", command, cid, "@mine", "--data", "@node"];
    await expect(skynet(...write)).rejects.toMatchObject({ code: "FileExists" });
    expect(await read("mine")).toBe("mine");
    await skynet(...write, "--force");
    expect(await read("mine")).toContain("setosa");
  }
});

describe("models, proofs and reference strings", () => {
  const program = smallProgram(1);
  const sample = JSON.stringify([0.5, -0.25, 1, 0, 0.75, -1]);
  const ptau = path.join(import.meta.dirname, "../../../../proof/fixtures/powers-of-tau-6.ptau");
  beforeAll(async () => {
    await fs.writeFile(file("model.onnx"), exportModel(program, initialWeights(program, new Uint8Array(32).fill(1))));
    await fs.writeFile(file("sample.json"), sample);
    await fs.copyFile(ptau, file("pot.ptau"));
  });

  it.each([
    ["a model", ["model", "export", "@model.onnx"], "model.onnx"],
    ["the model of a proof", ["infer", "@model.onnx", "--input", "@sample.json"], "model.onnx"],
    ["a sample", ["infer", "@model.onnx", "--input", "@sample.json"], "sample.json"],
    ["a ceremony's file", ["srs", "import", "@pot.ptau", "--size", "5"], "pot.ptau"],
    ["the folder of a requester", ["job", "download", "0x12", "--data", "@images"], "images/cats/0.png"],
    ["the job file of a download", ["job", "download", "0x12", "--test", "@dataset.yaml"], "dataset.yaml"],
    ["a wallet", ["relays", "sign", "/ip4/127.0.0.1/tcp/1", "--keystore", "@data.csv"], "data.csv"],
  ])("do not replace %s that is read, not even with --force", async (_what, args, kept) => {
    const before = await fs.readFile(file(kept));
    await expect(skynet(...args, "--out", `@${kept}`, "--force")).rejects.toMatchObject({
      code: "FileExists",
      message: expect.stringContaining("is read here") as string,
    });
    expect((await fs.readFile(file(kept))).equals(before)).toBe(true);
  });

  it.each([
    [["model", "export", "@model.onnx"]],
    [["infer", "@model.onnx", "--input", "@sample.json"]],
    [["srs", "create", "--size", "4"]],
    [["srs", "import", "@pot.ptau", "--size", "5"]],
    [["job", "download", "0x12"]],
    [["relays", "sign", "/ip4/127.0.0.1/tcp/1"]],
  ])("keep a file that is there: %j", async (args) => {
    await fs.writeFile(file("mine"), "mine");
    await expect(skynet(...args, "--out", "@mine")).rejects.toMatchObject({
      code: "FileExists",
      hint: expect.stringContaining("--force") as string,
    });
    expect(await read("mine")).toBe("mine");
  });

  it("replace it with --force", async () => {
    await fs.writeFile(file("mine"), "mine");
    await skynet("srs", "create", "--size", "4", "--out", "@mine", "--force");
    expect(await read("mine")).not.toBe("mine");
  });
});

it.each(["@data.csv/x/result.json", "/proc/result.json"])("explains that --json cannot write %s", async (place) => {
  const program = await createProgram(["storage"]);
  const target = place.startsWith("@") ? file(place.slice(1)) : place;
  const show = program.parseAsync(["storage", "show", "--data", file("node"), "--json", target], { from: "user" });
  await expect(show).rejects.toMatchObject({ code: expect.stringMatching(/BadPath|NotPermitted/) as string });
});

describe("bought content", () => {
  const files = [
    { name: "labels-idx1-ubyte", content: Uint8Array.of(1) },
    { name: "dataset.yaml", content: Buffer.from("bought") },
  ];

  it("replaces nothing: it is said before anything is paid, and nothing is written", async () => {
    await expect(checkRoom(folder, "data", false)).rejects.toMatchObject({ code: "FileExists" });
    await expect(writeBought(folder, files, false)).rejects.toMatchObject({ code: "FileExists" });
    expect(await read("dataset.yaml")).toBe("train: data.csv\n");
    await expect(fs.access(file("labels-idx1-ubyte"))).rejects.toThrow("ENOENT");
  });

  it("goes on with what an interrupted run has written", async () => {
    const place = file("bought");
    await writeBought(place, files.slice(0, 1), false);
    expect(await writeBought(place, files, false)).toEqual(files.map(({ name }) => path.join(place, name)));
    expect(await read("bought/dataset.yaml")).toBe("bought");
  });
});
