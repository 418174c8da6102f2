import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { datasetFileSchema } from "@skynet/storage";
import { describe, expect, it } from "vitest";
import { parseJobFile, readJobFile } from "./job-file.ts";
import { parseYaml } from "./yaml-file.ts";

const example = path.join(import.meta.dirname, "..", "..", "..", "examples", "fashion-mnist", "job.yaml");
const minimal = "name: a\nmodel: m.onnx\ndata: a.csv\npayment: {pricePerRound: 1, stake: 2}\n";

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
      verification: { mode: "proof", auditSegments: 1, auditPercent: 100, beacon: "blockhash", circuit: {} },
      windows: { draw: 60, prove: 120 },
    });
    expect(parseJobFile(`${minimal}verification: {mode: quorum}\ntraining: {localSteps: 3}\n`)).toMatchObject({
      verification: { mode: "quorum" },
    });
  });

  it("reads prices that rise, requirements and whom to admit", () => {
    expect(parseJobFile(minimal)).toMatchObject({
      payment: { pricePerRound: { from: "1", to: "1" } },
      workers: { admission: "open" },
      requirements: {},
    });
    const worker = "0x00000000000000000000000000000000000000AA";
    const rising = minimal.replace("pricePerRound: 1", "pricePerRound: {from: 0.5, to: 2}");
    const text = `${rising}workers: {admission: requester, allow: ['${worker}']}\nrequirements: {memoryGiB: 7.5, gpu: true}\n`;
    expect(parseJobFile(text)).toMatchObject({
      payment: { pricePerRound: { from: "0.5", to: "2" } },
      workers: { admission: "requester", allow: [worker.toLowerCase()] },
      requirements: { memoryGiB: 7.5, gpu: true },
    });
  });

  it("names a wrong key and the nearest valid one, at every level", () => {
    expect(() => parseJobFile(`${minimal}modle: x\n`)).toThrow(/"modle"; the nearest valid one is "model"/);
    expect(() => parseJobFile(`${minimal}training: {batchsize: 3}\n`)).toThrow(/"training\.batchsize".*"batchSize"/);
  });

  it("names wrong keys of columns, whose names are the data's own", () => {
    const { ok, ...rest } = parseYaml("train: a.csv\ncolumns: {age: {tipe: number}}\ntargt: x\n", datasetFileSchema);
    expect(ok).toBe(false);
    expect(rest).toMatchObject({
      problems: [
        expect.stringMatching(/^line 2: unknown key "columns\.age\.tipe"; the nearest valid one is "type"/),
        expect.stringMatching(/^line 3: unknown key "targt"; the nearest valid one is "target"/),
      ],
    });
  });

  it.each([
    ["windows: {join: soon}", /windows\.join: a duration/],
    ["training: {rounds: 0}", /training\.rounds/],
    ["workers: {count: 2, minimum: 3}", /workers\.minimum is larger/],
    ["payment: {pricePerRound: -1, stake: 1}", /payment\.pricePerRound: an amount/],
    ["payment: {pricePerRound: {from: 2, to: 1}, stake: 1}", /payment\.pricePerRound: from is larger than to/],
    ["payment: {pricePerRound: {from: 2}, stake: 1}", /payment\.pricePerRound/],
    ["workers: {allow: ['0x00000000000000000000000000000000000000aa']}", /workers\.allow: .*admission: requester/],
    ["workers: {challenge: 9s}", /workers\.challenge: .*admission: requester/],
    ["workers: {admission: requester, allow: [bob]}", /workers\.allow\.0: an address/],
    ["requirements: {core: 2}", /"requirements\.core"; the nearest valid one is "cores"/],
    ["requirements: {reputation: {rounds: -1}}", /requirements\.reputation\.rounds/],
    ["requirements: {regions: [Middle Earth]}", /requirements\.regions\.0: a region/],
    ["training: {learningRate: fast}", /training\.learningRate/],
    ["verification: {segment: 5}", /verification\.segment/],
    ["verification: {segment: 3}", /256 local steps do not divide into segments of 3/],
    ["verification: {segment: 4, auditSegments: 3}", /64 segments do not divide into 3 equal parts/],
    ["verification: {mode: trust}", /verification\.mode/],
    ["verification: {auditPercent: 0}", /verification\.auditPercent/],
  ])("refuses %s", (line, message) => {
    const without = minimal
      .split("\n")
      .filter((text) => !line.startsWith(text.split(":")[0]!) || text === "")
      .join("\n");
    expect(() => parseJobFile(`${without}${line}\n`)).toThrow(message);
  });

  it("says what is wrong with broken YAML and missing files", async () => {
    expect(() => parseJobFile("name: [")).toThrow(/JOB\.yaml/);
    expect(() => parseJobFile("name: &a x\nmodel: *a")).toThrow(/line 2: \*a is an alias; write the value itself/);
    await expect(readJobFile("nowhere.yaml")).rejects.toMatchObject({ code: "FileNotFound" });
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-"));
    await expect(readJobFile(folder)).rejects.toMatchObject({ code: "FileNotFound" });
    await fs.rm(folder, { recursive: true });
  });
});
