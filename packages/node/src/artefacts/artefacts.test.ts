import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createIdentity } from "@skynet/network";
import { exportModel, initialWeights, readInferenceModel } from "@skynet/proof";
import type { Hex } from "@skynet/protocol";
import { openBlockStore, readContent, type DatasetSchema, type DiskBlockStore } from "@skynet/storage";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { smallProgram } from "../../../swarm/src/simulation.ts";
import { createProgram } from "../cli/program.ts";
import { readSample } from "../market/sample.ts";
import { artefactKey, keepArtefact, keptArtefacts, openArtefact, type Artefact } from "./artefacts.ts";
import { datasetMetadata, datasetOf } from "./dataset-metadata.ts";
import { forgetOldArtefacts, KEEP_MS } from "./keep.ts";
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from "./messages.ts";

let dataDir = "";
let blocks: DiskBlockStore;
beforeEach(async () => {
  dataDir = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-artefacts-"));
  blocks = await openBlockStore(path.join(dataDir, "blocks"));
});
afterEach(async () => {
  blocks.close();
  await fs.rm(dataDir, { recursive: true, force: true });
});

const jobId: Hex = `0x${"0a".repeat(32)}`;
const modelId: Hex = `0x${"0b".repeat(32)}`;
const requester = createIdentity(new Uint8Array(32).fill(1));
const artefact = (round = 1, size = 100): Artefact => ({
  jobId,
  round,
  modelId,
  onnx: new Uint8Array(size).fill(round),
  blinders: new Uint8Array(64).fill(3),
});

describe("a model that is kept for its requester", () => {
  it("is read by the requester alone, whatever its size, and stays while it is pinned", async () => {
    const { recipient, identity } = await artefactKey(requester);
    const large = artefact(2, 5 * 2 ** 20);
    await keepArtefact({ blocks, dataDir }, artefact(1), recipient);
    const kept = await keepArtefact({ blocks, dataDir }, large, recipient);
    expect(await keptArtefacts(dataDir, jobId)).toMatchObject([{ round: 1 }, { round: 2, cid: kept.cid }]);
    await blocks.gc({ graceMs: 0 });
    const sealed = await readContent(blocks, kept.cid);
    const { onnx, ...opened } = await openArtefact(sealed, identity);
    expect(opened).toEqual({ jobId, round: 2, modelId, blinders: large.blinders });
    expect(Buffer.compare(onnx, large.onnx)).toBe(0);
    const stranger = await artefactKey(createIdentity(new Uint8Array(32).fill(2)));
    await expect(openArtefact(sealed, stranger.identity)).rejects.toMatchObject({ code: "CannotDecrypt" });
    // A second time nothing is encrypted again; another model of the round takes the place of the first.
    expect((await keepArtefact({ blocks, dataDir }, large, recipient)).cid).toBe(kept.cid);
    const other = await keepArtefact({ blocks, dataDir }, { ...large, modelId: jobId }, recipient);
    expect(await keptArtefacts(dataDir, jobId)).toMatchObject([{ round: 1 }, { round: 2, cid: other.cid }]);
    await blocks.gc({ graceMs: 0 });
    expect([await blocks.has(kept.cid), await blocks.has(other.cid)]).toEqual([false, true]);
  });

  it("is removed by workers after two weeks", async () => {
    const { recipient } = await artefactKey(requester);
    const { cid, keptMs } = await keepArtefact({ blocks, dataDir }, artefact(), recipient);
    await forgetOldArtefacts({ blocks }, dataDir, keptMs + KEEP_MS - 1);
    expect(await blocks.has(cid)).toBe(true);
    await forgetOldArtefacts({ blocks }, dataDir, keptMs + KEEP_MS);
    expect(await blocks.has(cid)).toBe(false);
    expect(await keptArtefacts(dataDir, jobId)).toEqual([]);
  });

  it("is not removed where its requester keeps it, however old", async () => {
    const { recipient } = await artefactKey(requester);
    const { cid, keptMs } = await keepArtefact({ blocks, dataDir }, artefact(), recipient);
    await fs.writeFile(path.join(dataDir, "jobs", jobId, "job.json"), '{"done":true}');
    await forgetOldArtefacts({ blocks }, dataDir, keptMs + 2 * KEEP_MS);
    expect(await blocks.has(cid)).toBe(true);
  });

  it("is asked for in messages that strangers cannot make larger", () => {
    expect(decodeRequest(encodeRequest(jobId))).toBe(jobId);
    const offer = { round: 3, modelId, cid: "bafy", bytes: 9 };
    expect(decodeAnswer(encodeAnswer([offer]))).toEqual([offer]);
    for (const bad of [new Uint8Array(), encodeRequest(jobId).subarray(1), encodeAnswer([{ ...offer, round: 0 }])])
      expect(() => decodeAnswer(bad)).toThrow(expect.objectContaining({ code: "Malformed" }));
  });
});

/** A table of two numbers, a category and an ordinal: six inputs. */
const schema: DatasetSchema = {
  version: 1,
  name: "flowers",
  inputs: [
    { kind: "number", name: "width", offset: 5, divisor: 2, fill: 5 },
    { kind: "number", name: "height", offset: 0, divisor: 1, fill: 0.5 },
    { kind: "category", name: "colour", classes: ["red", "blue", "white"] },
    { kind: "ordinal", name: "size", classes: ["s", "m", "l"], offset: 1, divisor: 1 },
  ],
  scale: 6,
  target: { name: "kind", classes: ["a", "b", "c"] },
};

const image: DatasetSchema["inputs"][number] = {
  kind: "tensor",
  name: "image",
  shape: [6],
  dtype: "uint8",
  offset: 0,
  divisor: 1,
};

describe("a model that says how rows become inputs", () => {
  const program = smallProgram(1);
  const model = () =>
    exportModel(program, initialWeights(program, new Uint8Array(32).fill(1)), datasetMetadata(schema));

  it("carries the schema of its data, also after it was exported again from a file; damaged ones count as none", async () => {
    expect(datasetOf(model())).toEqual(schema);
    const [from, to] = [path.join(dataDir, "model.onnx"), path.join(dataDir, "plain.onnx")];
    await fs.writeFile(from, model());
    const cli = await createProgram(["model"]);
    await cli.parseAsync(["model", "export", from, "--out", to, "--json"], { from: "user" });
    const exported = new Uint8Array(await fs.readFile(to));
    expect(datasetOf(exported)).toEqual(schema);
    expect(readInferenceModel(exported).weights).toEqual(readInferenceModel(model()).weights);
    const weights = initialWeights(program, new Uint8Array(32));
    expect(datasetOf(exportModel(program, weights, { "skynet.dataset": '{"version":2}' }))).toBeUndefined();
    const huge: DatasetSchema[] = [
      { ...schema, name: "n".repeat(201) },
      { ...schema, inputs: Array.from({ length: 65_537 }, () => ({ kind: "text", name: "a", size: 1 })) },
      { ...schema, inputs: [{ ...image, shape: [1024, 1024, 2] }] },
      { ...schema, target: { name: "y", classes: ["a", "b".repeat(1001)] } },
    ];
    for (const each of huge)
      expect(datasetOf(exportModel(program, weights, { "skynet.dataset": JSON.stringify(each) }))).toBeUndefined();
    expect(datasetMetadata({ ...schema, inputs: [image] })).toEqual({});
  });

  it("takes a raw row of a table or a JSON object", async () => {
    const table = path.join(dataDir, "rows.csv");
    await fs.writeFile(table, "kind,size,width,height,colour\na,m,5,0,red\nb,l,7,,blue\n");
    const row = path.join(dataDir, "row.json");
    await fs.writeFile(row, JSON.stringify({ width: 7, height: null, colour: "blue", size: "l" }));
    expect([...(await readSample(program, table, 0, schema))]).toEqual([0, 0, 64, 0, 0, 0]);
    expect([...(await readSample(program, table, 1, schema))]).toEqual([64, 32, 0, 64, 0, 64]);
    expect(await readSample(program, row, 0, schema)).toEqual(await readSample(program, table, 1, schema));
    await expect(readSample(program, table, 2, schema)).rejects.toMatchObject({ code: "BadDataset" });
    await expect(readSample(program, table, 0)).rejects.toMatchObject({ code: "BadSample" });
    await fs.writeFile(row, JSON.stringify({ width: "wide", height: 1, colour: "red", size: "s" }));
    await expect(readSample(program, row, 0, schema)).rejects.toThrow(/column "width": a number is needed/);
  });
});
