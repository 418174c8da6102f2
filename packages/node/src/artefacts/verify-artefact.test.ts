import { createIdentity } from "@skynet/network";
import { readInferenceModel } from "@skynet/proof";
import { encode, fromHex, type Hex } from "@skynet/protocol";
import { encryptBlock, type DatasetSchema } from "@skynet/storage";
import type { ModelShape, Trainer, Weights } from "@skynet/swarm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentUi } from "../../../../tests/support/network.ts";
import { tinyModel } from "../../../../tests/support/tiny-job.ts";
import { startTrainer } from "../trainer/trainer.ts";
import { artefactKey } from "./artefacts.ts";
import { datasetMetadata, datasetOf } from "./dataset-metadata.ts";
import { loadArchitecture, maxArtefactBytes, verifyArtefact, type Target } from "./verify-artefact.ts";

const privateKey = new Uint8Array(32).fill(1);
const place = { privateKey, dataDir: "unused", ui: silentUi, signal: new AbortController().signal };
/** Right in form, wrong in fact: classes that the data never had. */
const planted: DatasetSchema = {
  version: 1,
  name: "planted",
  inputs: Array.from({ length: 36 }, (_, i) => ({ kind: "number", name: `n${i}`, offset: 0, divisor: 1, fill: 0 })),
  scale: 6,
  target: { name: "kind", classes: ["a", "b", "c", "d"] },
};

let trainer: Trainer;
let shape: ModelShape;
let weights: Weights;
let target: Target;
beforeAll(async () => {
  trainer = startTrainer({ threads: 1 });
  const jobId: Hex = `0x${"0a".repeat(32)}`;
  const metadata = { batchSize: 16, learningRate: 0.5, verification: "quorum", modelCid: "unused" } as const;
  const job = { chainId: 31_337, jobId, round: 2, modelId: jobId, spec: { averaging: 4 }, metadata, workers: [] };
  shape = await loadArchitecture(job, trainer, tinyModel());
  weights = await trainer.initialWeights(new Uint8Array(32).fill(1));
  target = { ...job, modelId: (await trainer.identify(weights)).id };
});
afterAll(() => trainer.close());

/** As whoever knows the requester's public key can make it. */
async function sealedOf(other: Weights): Promise<Uint8Array> {
  const { recipient } = await artefactKey(createIdentity(privateKey));
  const onnx = await trainer.exportModel(other, datasetMetadata(planted));
  const job = fromHex(`0x${"0c".repeat(32)}`);
  const content = { version: 1, job, round: 9, modelId: job, onnx, blinders: new Uint8Array() };
  return encryptBlock(encode(content), [recipient]);
}

describe("a model that a worker gives", () => {
  it("keeps its verified weights and nothing else of the worker's: no preprocessing, no job, no round", async () => {
    const sealed = await sealedOf(weights);
    const { artefact } = await verifyArtefact(target, trainer, { sealed, shape, isOwn: false }, place);
    expect(datasetOf(artefact.onnx)).toBeUndefined();
    expect(readInferenceModel(artefact.onnx).weights).toEqual(weights);
    const { jobId, round, modelId } = target;
    expect(artefact).toMatchObject({ jobId, round, modelId });
  });

  it("says how its data are taken when it comes from the requester's own store", async () => {
    const sealed = await sealedOf(weights);
    const { artefact } = await verifyArtefact(target, trainer, { sealed, shape, isOwn: true }, place);
    expect(datasetOf(artefact.onnx)).toEqual(planted);
  });

  it("is refused when a weight is another one", async () => {
    const sealed = await sealedOf(weights.map((tensor, i) => (i === 0 ? tensor.with(0, tensor[0]! + 1) : tensor)));
    const verifying = verifyArtefact(target, trainer, { sealed, shape, isOwn: false }, place);
    await expect(verifying).rejects.toMatchObject({ code: "WrongModel" });
  });

  it("is as large as its weights, and not limited to what the file of the job may have", async () => {
    expect((await sealedOf(weights)).length).toBeLessThan(maxArtefactBytes(shape));
    expect(maxArtefactBytes({ ...shape, tensors: [{ shape: [2 ** 27], scale: 0 }] })).toBeGreaterThan(2 ** 29);
  });
});
