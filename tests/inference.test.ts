import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { ModelBuilder } from "@skynet/onnx";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skynet } from "./support/cli.ts";

let folder = "";
const file = (name: string) => path.join(folder, name);
const example = path.join(import.meta.dirname, "..", "examples", "fashion-mnist");
const run = (...args: string[]) => skynet(args, { env: { NO_COLOR: "1", SKYNET_HOME: file("home") } });

/** An untrained perceptron of 6 inputs. */
function tinyModel(): Uint8Array {
  const model = new ModelBuilder({ name: "tiny" });
  const x = model.input("x", "float32", ["batch", 6]);
  const values = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898));
  const w1 = model.constant("w1", "float32", [6, 5], values(30));
  const hidden = model.node("Relu", [model.node("Gemm", [x, w1, model.constant("b1", "float32", [5], values(5))])]);
  const w2 = model.constant("w2", "float32", [5, 3], values(15));
  model.output(model.node("Gemm", [hidden, w2, model.constant("b2", "float32", [3], values(3))]), "z", "float32", [
    "batch",
    3,
  ]);
  return model.encode();
}

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-infer-"));
  await fs.writeFile(file("tiny.onnx"), tinyModel());
  await fs.writeFile(file("sample.json"), JSON.stringify([0.5, -0.25, 1, 0, 0.75, -1]));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

describe("skynet infer", () => {
  it("proves the logits of a sample; anybody can check the proof with the model", async () => {
    const made = await run("infer", file("tiny.onnx"), "--input", file("sample.json"), "--out", file("proof.json"));
    expect(made.stderr).not.toContain("error");
    expect(made.code).toBe(0);
    expect(made.stdout).toMatch(/class \d, logits/);
    const checked = await run("infer", file("tiny.onnx"), "--check", file("proof.json"));
    expect(checked.stdout).toContain("the proof is valid");
    expect(checked.code).toBe(0);
  });

  it("refuses a changed proof, another model, and what is no proof", async () => {
    await run("infer", file("tiny.onnx"), "--input", file("sample.json"), "--out", file("good.json"));
    const proof = JSON.parse(await fs.readFile(file("good.json"), "utf8")) as { proof: string; statement: object };
    const flipped = `${proof.proof.slice(0, -1)}${proof.proof.endsWith("0") ? "1" : "0"}`;
    await fs.writeFile(file("bad.json"), JSON.stringify({ ...proof, proof: flipped }));
    const changed = await run("infer", file("tiny.onnx"), "--check", file("bad.json"));
    expect(changed.code).toBe(1);
    expect(changed.stderr).toContain("the proof is refused");
    const other = await run("infer", path.join(example, "mlp.onnx"), "--check", file("good.json"));
    expect(other.stderr).toContain("another model");
    const none = await run("infer", file("tiny.onnx"), "--check", file("sample.json"));
    expect(none.stderr).toContain("is not a proof");
  });

  it.each([
    { args: ["--input", "sample.json"], sample: "[1, 2]", message: "not an array of 6 numbers" },
    { args: ["--input", "sample.json"], sample: "[1, 2, 3, 4, 5, 1e9]", message: "outside" },
    { args: ["--input", "sample.json"], sample: "{", message: "not an array of 6 numbers" },
    { args: [], sample: "[]", message: "no sample is given" },
    { args: ["--input", "missing.json"], sample: "[]", message: "missing.json" },
  ])("says what is wrong with $args and $sample", async ({ args, sample, message }) => {
    const place = await fs.mkdtemp(path.join(folder, "bad-"));
    await fs.writeFile(path.join(place, "sample.json"), sample);
    const paths = args.map((arg) => (arg.endsWith(".json") ? path.join(place, arg) : arg));
    const { code, stderr } = await run("infer", file("tiny.onnx"), ...paths);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});

describe("skynet circuit", () => {
  it("reports relations, cells and costs of the example", async () => {
    const model = path.join(example, "mlp.onnx");
    const { code, stdout } = await run("circuit", model, "--batch", "128", "--learning-rate", "0.5");
    expect(code).toBe(0);
    expect(stdout).toContain("softmax division");
    expect(stdout).toContain("10,016 bytes");
  });

  it("names each operator that is not supported and what to use instead", async () => {
    const model = new ModelBuilder({ name: "odd" });
    const x = model.input("x", "float32", ["batch", 4]);
    model.output(model.node("Gelu", [model.node("Dropout", [x])]), "y", "float32", ["batch", 4]);
    await fs.writeFile(file("odd.onnx"), model.encode());
    const { code, stderr } = await run("circuit", file("odd.onnx"));
    expect(code).toBe(1);
    expect(stderr).toMatch(/Gelu \(node .*\), Dropout|Dropout \(node .*\), Gelu/);
    expect(stderr).toContain("Gelu: use Relu.");
    expect(stderr).toContain("Dropout: export the model in evaluation mode");
  });
});
