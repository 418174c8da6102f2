import { Worker } from "node:worker_threads";
import { SkyNetError } from "@skynet/protocol";
import type { Trainer } from "@skynet/swarm";
import type { TrainerCalls, TrainerMethod, TrainerRequest, TrainerResponse } from "./protocol.ts";

/** Starts a training thread. Calls are executed one after the other. */
export function startTrainer(): Trainer {
  const worker = new Worker(new URL("thread.ts", import.meta.url));
  const pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let nextId = 0;
  let failure: Error | undefined;

  const failAll = (error: Error) => {
    failure = error;
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  };
  worker.on("message", (response: TrainerResponse) => {
    const call = pending.get(response.id);
    pending.delete(response.id);
    if ("error" in response) call?.reject(rebuild(response.error));
    else call?.resolve(response.result);
  });
  worker.on("error", (cause) => failAll(new SkyNetError("TrainerFailed", "the training thread failed", { cause })));
  worker.on("exit", () => failAll(new SkyNetError("TrainerFailed", "the training thread has ended")));

  function call<Method extends TrainerMethod>(method: Method, ...args: TrainerCalls[Method][0]) {
    if (failure) return Promise.reject(failure);
    const id = nextId++;
    return new Promise<TrainerCalls[Method][1]>((resolve, reject) => {
      pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
      worker.postMessage({ id, method, args } satisfies TrainerRequest);
    });
  }

  return {
    load: (model, settings) => call("load", model, settings),
    initialWeights: (seed) => call("initialWeights", seed),
    quantise: (bytes) => call("quantise", bytes),
    setWeights: (weights) => call("setWeights", weights),
    step: (batch) => call("step", batch),
    weights: () => call("weights"),
    id: (weights) => call("id", weights),
    encodeUpdate: (base, updated) => call("encodeUpdate", base, updated),
    applyUpdate: (base, update) => call("applyUpdate", base, update),
    average: (base, updates) => call("average", base, updates),
    evaluate: (weights, x, y) => call("evaluate", weights, x, y),
    exportModel: (weights) => call("exportModel", weights),
    close: async () => {
      await worker.terminate();
    },
  };
}

function rebuild({ code, message, hint }: { code: string; message: string; hint: string | undefined }): Error {
  return new SkyNetError(code, message, hint === undefined ? {} : { hint });
}
