import { Worker } from "node:worker_threads";
import { SkyNetError } from "@skynet/protocol";
import type { Trainer } from "@skynet/swarm";
import type { TrainerMethod, TrainerMethods, TrainerRequest, TrainerResponse, TrainerSetup } from "./protocol.ts";

/** Starts a training thread. Its calls may overlap; whoever trains or proves does one thing at a time. */
export function startTrainer(setup: Partial<TrainerSetup> = {}): Trainer {
  const workerData: TrainerSetup = { threads: 1, ...setup };
  const worker = new Worker(new URL("thread.ts", import.meta.url), { workerData });
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

  const call =
    <Method extends TrainerMethod>(method: Method) =>
    (...args: Parameters<TrainerMethods[Method]>): ReturnType<TrainerMethods[Method]> => {
      const answer = new Promise<unknown>((resolve, reject) => {
        if (failure) return reject(failure);
        const id = nextId++;
        pending.set(id, { resolve, reject });
        worker.postMessage({ id, method, args } satisfies TrainerRequest);
      });
      return answer as ReturnType<TrainerMethods[Method]>;
    };

  return {
    load: call("load"),
    initialWeights: call("initialWeights"),
    quantise: call("quantise"),
    setWeights: call("setWeights"),
    step: call("step"),
    weights: call("weights"),
    checkpoint: call("checkpoint"),
    proveStep: call("proveStep"),
    verifyStep: call("verifyStep"),
    identify: call("identify"),
    commitBatches: call("commitBatches"),
    checkBatches: call("checkBatches"),
    verifier: call("verifier"),
    encodeUpdate: call("encodeUpdate"),
    applyUpdate: call("applyUpdate"),
    average: call("average"),
    evaluate: call("evaluate"),
    exportModel: call("exportModel"),
    close: async () => {
      await worker.terminate();
    },
  };
}

function rebuild({ code, message, hint }: { code: string; message: string; hint: string | undefined }): Error {
  return new SkyNetError(code, message, hint === undefined ? {} : { hint });
}
