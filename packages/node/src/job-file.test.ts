import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseJobFile, readJobFile } from "./job-file.ts";

const example = path.join(import.meta.dirname, "..", "..", "..", "examples", "fashion-mnist", "job.yaml");
const minimal =
  "name: a\nmodel: m.onnx\ndata: {trainImages: a, trainLabels: b, testImages: c, testLabels: d}\npayment: {pricePerRound: 1, stake: 2}\n";

describe("JOB.yaml", () => {
  it("reads the example, with file names relative to it", async () => {
    const job = await readJobFile(example);
    expect(job).toMatchObject({ name: "fashion-mnist", workers: { count: 4, minimum: 3 }, windows: { join: 60 } });
    expect(job.model).toBe(path.join(path.dirname(example), "mlp.onnx"));
  });

  it("fills in defaults", () => {
    expect(parseJobFile(minimal)).toMatchObject({
      training: { batchSize: 128, learningRate: 0.5, localSteps: 256, rounds: 4 },
      payment: { missPenalty: "0", deliveryPercent: 20 },
    });
  });

  it("names a wrong key and the nearest valid one, at every level", () => {
    expect(() => parseJobFile(`${minimal}modle: x\n`)).toThrow(/"modle"; the nearest valid one is "model"/);
    expect(() => parseJobFile(`${minimal}training: {batchsize: 3}\n`)).toThrow(/"training\.batchsize".*"batchSize"/);
  });

  it.each([
    ["windows: {join: soon}", /windows\.join: a duration/],
    ["training: {rounds: 0}", /training\.rounds/],
    ["workers: {count: 2, minimum: 3}", /workers\.minimum is larger/],
    ["payment: {pricePerRound: -1, stake: 1}", /payment\.pricePerRound: an amount/],
    ["training: {learningRate: fast}", /training\.learningRate/],
  ])("refuses %s", (line, message) => {
    const without = minimal
      .split("\n")
      .filter((text) => !line.startsWith(text.split(":")[0]!) || text === "")
      .join("\n");
    expect(() => parseJobFile(`${without}${line}\n`)).toThrow(message);
  });

  it("says what is wrong with broken YAML and missing files", async () => {
    expect(() => parseJobFile("name: [")).toThrow(/JOB\.yaml/);
    await expect(readJobFile("nowhere.yaml")).rejects.toMatchObject({ code: "FileNotFound" });
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-"));
    await expect(readJobFile(folder)).rejects.toMatchObject({ code: "FileNotFound" });
    await fs.rm(folder, { recursive: true });
  });
});
