import { Worker } from "node:worker_threads";
import { ModelBuilder } from "@skynet/onnx";
import { afterEach, describe, expect, it } from "vitest";
import type { Trainer } from "@skynet/swarm";
import { startTrainer } from "./trainer.ts";

const settings = { batchSize: 4, learningRate: 0.5, averaging: 4 };
const seed = new Uint8Array(32).fill(1);

function model(): Uint8Array {
  const builder = new ModelBuilder({ name: "small" });
  const x = builder.input("x", "float32", ["batch", 6]);
  const w = builder.constant("w", "float32", [6, 3], new Float32Array(18));
  const b = builder.constant("b", "float32", [3], new Float32Array(3));
  builder.output(builder.node("Gemm", [x, w, b]), "z", "float32", ["batch", 3]);
  return builder.encode();
}

describe("a training thread", () => {
  const threads: Worker[] = [];
  let trainer: Trainer;
  const start = () => {
    trainer = startTrainer({
      spawn: (workerData) => {
        const worker = new Worker(new URL("thread.ts", import.meta.url), { workerData });
        threads.push(worker);
        return worker;
      },
    });
  };
  afterEach(async () => {
    await trainer.close();
    threads.length = 0;
  });

  it("that dies is replaced by one with the same model; calls in flight fail", async () => {
    start();
    await trainer.load(model(), settings);
    const weights = await trainer.initialWeights(seed);
    const lost = trainer.identify(weights);
    const terminated = threads[0]!.terminate();
    await expect(lost).rejects.toMatchObject({ code: "TrainerFailed" });
    await terminated;

    const [again, identity] = await Promise.all([trainer.initialWeights(seed), trainer.identify(weights)]);
    expect(again).toEqual(weights);
    expect(identity.id).toMatch(/^0x/);
    expect(threads).toHaveLength(2);
    await expect(trainer.weights()).rejects.toMatchObject({ code: "NotLoaded" });
    await trainer.setWeights({ weights, ...identity, secret: seed });
    expect(await trainer.weights()).toEqual(weights);
  });

  it("that dies before a model is loaded is replaced, too; a closed trainer starts none", async () => {
    start();
    await threads[0]!.terminate();
    await expect(trainer.initialWeights(seed)).rejects.toMatchObject({ code: "NoModel" });
    await trainer.load(model(), settings);
    expect(threads).toHaveLength(2);
    await trainer.close();
    await expect(trainer.weights()).rejects.toMatchObject({ code: "TrainerFailed" });
    expect(threads).toHaveLength(2);
  });
});
