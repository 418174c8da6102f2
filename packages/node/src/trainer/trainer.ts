import { Worker } from "node:worker_threads";
import { SkyNetError } from "@skynet/protocol";
import type { ModelShape, Trainer } from "@skynet/swarm";
import type { TrainerMethod, TrainerMethods, TrainerRequest, TrainerResponse, TrainerSetup } from "./protocol.ts";

type LoadArguments = Parameters<TrainerMethods["load"]>;

export interface TrainerOptions extends Partial<TrainerSetup> {
  /** Starts the thread; for tests. */
  readonly spawn?: (setup: TrainerSetup) => Worker;
}

const spawnThread = (workerData: TrainerSetup): Worker =>
  new Worker(new URL("thread.ts", import.meta.url), { workerData });

/**
 * Starts a training thread. Its calls may overlap; whoever trains or proves does one thing at a time. When the thread
 * dies (it runs out of memory), the calls in flight fail with `TrainerFailed`, and the next one starts another with the
 * same model; the weights in training are gone.
 */
export function startTrainer({ spawn = spawnThread, ...options }: TrainerOptions = {}): Trainer {
  const setup: TrainerSetup = { threads: 1, ...options };
  let current = startThread(spawn(setup));
  /** What a new thread has to load, and the latest loading. */
  let model: LoadArguments | undefined;
  let reload: Promise<unknown> | undefined;
  let closed = false;

  const aliveThread = (): Thread => {
    if (closed) throw new SkyNetError("TrainerFailed", "the trainer is closed");
    if (current.isAlive()) return current;
    current = startThread(spawn(setup));
    reload = undefined;
    return current;
  };
  const loadedThread = async (): Promise<Thread> => {
    const fresh = !current.isAlive() || !current.isLoaded();
    const thread = aliveThread();
    if (!fresh || model === undefined) return thread;
    const loading = (reload ??= thread.call("load", model));
    try {
      await loading;
    } catch (error) {
      // The next call tries again.
      if (reload === loading) reload = undefined;
      throw error;
    }
    return thread;
  };
  const call =
    <Method extends TrainerMethod>(method: Method) =>
    (...args: Parameters<TrainerMethods[Method]>): ReturnType<TrainerMethods[Method]> => {
      const answer = loadedThread().then((thread) => thread.call(method, args));
      return answer as ReturnType<TrainerMethods[Method]>;
    };
  const load = async (...args: LoadArguments): Promise<ModelShape> => {
    const thread = aliveThread();
    model = args;
    reload = thread.call("load", args);
    try {
      return (await reload) as ModelShape;
    } catch (error) {
      // A thread that died of it may fare better the next time; a model that is refused will not.
      if (thread.isAlive() && model === args) model = undefined;
      throw error;
    }
  };

  return {
    load,
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
    blindBatches: call("blindBatches"),
    checkBatches: call("checkBatches"),
    verifier: call("verifier"),
    encodeUpdate: call("encodeUpdate"),
    applyUpdate: call("applyUpdate"),
    average: call("average"),
    evaluate: call("evaluate"),
    exportModel: call("exportModel"),
    close: async () => {
      closed = true;
      await current.terminate();
    },
  };
}

interface Call {
  readonly method: TrainerMethod;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  isAlive(): boolean;
  call(method: TrainerMethod, args: readonly unknown[]): Promise<unknown>;
  /** Whether a model was loaded, and the latest load did not fail. */
  isLoaded(): boolean;
  terminate(): Promise<void>;
}

function startThread(worker: Worker): Thread {
  const pending = new Map<number, Call>();
  let nextId = 0;
  let failure: Error | undefined;
  let loaded = false;

  const failAll = (error: Error) => {
    failure ??= error;
    for (const { reject } of pending.values()) reject(failure);
    pending.clear();
  };
  worker.on("message", (response: TrainerResponse) => {
    const call = pending.get(response.id);
    pending.delete(response.id);
    if (call?.method === "load") loaded = !("error" in response);
    if ("error" in response) call?.reject(rebuild(response.error));
    else call?.resolve(response.result);
  });
  worker.on("error", (cause) =>
    failAll(new SkyNetError("TrainerFailed", `the training thread failed: ${describe(cause)}`, { cause })),
  );
  worker.on("exit", () => failAll(new SkyNetError("TrainerFailed", "the training thread has ended")));
  return {
    isAlive: () => failure === undefined,
    isLoaded: () => loaded,
    call: (method, args) =>
      new Promise((resolve, reject) => {
        if (failure) return reject(failure);
        const id = nextId++;
        pending.set(id, { method, resolve, reject });
        worker.postMessage({ id, method, args } satisfies TrainerRequest);
      }),
    terminate: async () => {
      await worker.terminate();
    },
  };
}

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

function rebuild({ code, message, hint }: { code: string; message: string; hint: string | undefined }): Error {
  return new SkyNetError(code, message, hint === undefined ? {} : { hint });
}
