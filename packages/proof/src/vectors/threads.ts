// One small interface over worker_threads (Node) and Web Workers (browsers).
import { ProofError } from "../errors.ts";
import type { Point } from "../field/curve.ts";
import type { Scalars } from "./multiexp.ts";

/** A part of a multiplication: scalars for the points from `offset` on. The arrays lie in shared memory. */
export interface Piece {
  readonly scalars: Scalars;
  readonly offset: number;
}

/** To a thread: first the compiled kernels and the points, then one list of pieces after the other. */
export type ThreadRequest =
  | { readonly module: WebAssembly.Module; readonly points: Uint32Array }
  | { readonly pieces: readonly Piece[] };

/** From a thread, one per request: sums of the pieces (none for the start), or what went wrong. */
export type ThreadResponse = { readonly sums: readonly Point[] } | { readonly error: string };

interface Port {
  post(request: ThreadRequest): void;
  /** Whether the thread keeps the process alive: only while a request waits for it. */
  hold(active: boolean): void;
  terminate(): Promise<void>;
}

interface Listeners {
  onMessage(response: ThreadResponse): void;
  onEnd(cause: unknown): void;
}

const NOT_LOADED =
  "its script did not load; in a cross-origin isolated page it, too, needs the header Cross-Origin-Embedder-Policy";

function openPort({ onMessage, onEnd }: Listeners): Port {
  const workerThreads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (workerThreads !== undefined) {
    const worker = new workerThreads.Worker(new URL("thread.ts", import.meta.url));
    worker.on("message", onMessage);
    worker.on("error", onEnd);
    worker.on("exit", (code) => onEnd(new Error(`exit code ${code}`)));
    return {
      post: (request) => worker.postMessage(request),
      hold: (active) => (active ? worker.ref() : worker.unref()),
      terminate: async () => {
        await worker.terminate();
      },
    };
  }
  // Bundlers know this form and bundle the file.
  const worker = new Worker(new URL("./thread.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => onMessage(data as ThreadResponse));
  // Without a message, the script itself did not load.
  worker.addEventListener("error", ({ message }) => onEnd(new Error(message || NOT_LOADED)));
  worker.addEventListener("messageerror", () => onEnd(new Error("an answer could not be read")));
  return {
    post: (request) => worker.postMessage(request),
    hold: () => {},
    terminate: async () => worker.terminate(),
  };
}

/** A thread that multiplies. Requests are answered in order; when it dies, all that wait are refused. */
export class Thread {
  readonly #port: Port;
  readonly #waiting: { resolve: (sums: readonly Point[]) => void; reject: (error: Error) => void }[] = [];
  #failure: ProofError | undefined;

  constructor() {
    this.#port = openPort({
      onMessage: (response) => {
        const call = this.#waiting.shift();
        if (this.#waiting.length === 0) this.#port.hold(false);
        if ("sums" in response) call?.resolve(response.sums);
        else call?.reject(new ProofError("WorkerFailed", `a thread could not multiply: ${response.error}`));
      },
      onEnd: (cause) => this.#fail(cause),
    });
  }

  /** @throws ProofError `WorkerFailed` */
  request(request: ThreadRequest): Promise<readonly Point[]> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#port.hold(true);
      this.#port.post(request);
    });
  }

  async terminate(): Promise<void> {
    this.#fail(new Error("closed"));
    await this.#port.terminate();
  }

  #fail(cause: unknown): void {
    this.#failure ??= new ProofError("WorkerFailed", "a thread of the committer has ended", {
      hint: "Make a new committer; if threads keep ending, the machine may be out of memory: use fewer threads.",
      cause,
    });
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

/** Shared memory exists in Node and in browser pages that are cross-origin isolated. */
export const canShare = (): boolean =>
  typeof SharedArrayBuffer !== "undefined" &&
  (globalThis.process?.getBuiltinModule !== undefined || globalThis.crossOriginIsolated);
