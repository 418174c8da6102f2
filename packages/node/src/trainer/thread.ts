// Training thread: executes the integer program and makes the proofs, so that networking never waits for either.
import { parentPort, workerData } from "node:worker_threads";
import { SkyNetError } from "@skynet/protocol";
import { ModelTrainer } from "./model-trainer.ts";
import type { TrainerRequest, TrainerResponse, TrainerSetup } from "./protocol.ts";

const trainer = new ModelTrainer(workerData as TrainerSetup);

parentPort?.on("message", ({ id, method, args }: TrainerRequest) => {
  const call = trainer[method].bind(trainer) as (...args: readonly unknown[]) => Promise<unknown>;
  call(...args).then(
    (result) => parentPort?.postMessage({ id, result } satisfies TrainerResponse),
    (error: unknown) => parentPort?.postMessage({ id, error: describe(error) } satisfies TrainerResponse),
  );
});

function describe(error: unknown) {
  if (error instanceof SkyNetError) return { code: error.code, message: error.message, hint: error.hint };
  if (error instanceof RangeError && /memory|allocation/i.test(error.message))
    return { code: "OutOfMemory", message: error.message, hint: "use fewer threads, or a machine with more memory" };
  return { code: "TrainerFailed", message: String(error), hint: undefined };
}
