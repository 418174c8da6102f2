// Entry of a committer's thread: worker_threads in Node, a Web Worker in browsers.
import { Multiexp } from "./multiexp.ts";
import { instantiateProofKernels } from "./kernels.ts";
import type { ThreadRequest, ThreadResponse } from "./threads.ts";

let multiexp: Multiexp | undefined;

async function answer(request: ThreadRequest): Promise<ThreadResponse> {
  try {
    if ("module" in request) {
      multiexp = new Multiexp(await instantiateProofKernels(request.module), request.points);
      return { sums: [] };
    }
    return { sums: request.pieces.map(({ scalars, offset }) => multiexp!.multiply(scalars, offset)) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

const port = globalThis.process?.getBuiltinModule?.("node:worker_threads").parentPort;
if (port) {
  port.on("message", async (request: ThreadRequest) => port.postMessage(await answer(request)));
} else {
  globalThis.addEventListener("message", async ({ data }) => globalThis.postMessage(await answer(data)));
}
