// One training step of a tiny model, proven and checked. Node and pages of a browser run this same file.
import {
  createDevelopmentString,
  createExecutor,
  createProofSystem,
  deriveBlinders,
  initialWeights,
  type ProofError,
  stepCircuit,
} from "@skynet/proof";
import { type Hex, toHex } from "@skynet/protocol";
import { perceptronProgram, randomIntegers } from "../../packages/proof/src/testing.ts";

/** The weights fill two blocks of 2^7 cells: with two threads, each commits to one. */
const SIZES = [20, 8, 3] as const;
const BATCH = 4;
const HEADER = {
  chainId: 31337,
  verifier: "0x00000000000000000000000000000000000000aa",
  context: `0x${"12".repeat(32)}`,
} as const;

export interface SmallStep {
  /** Whether this place has shared memory, hence more than one thread. */
  readonly sharedMemory: boolean;
  readonly proof: Hex;
  /** What the verifier said about the proof, and about the proof with one bit flipped, at several places. */
  readonly verdict: string;
  readonly flipped: readonly string[];
  /** What became of a commitment after the system was closed: threads that had a part in it refuse. */
  readonly afterClose: string;
}

interface Kernels {
  readonly executor: WebAssembly.Module;
  readonly proof: WebAssembly.Module;
}

/** The result of a call as text: "ok", or the code of its error. */
async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

async function makeSystem(threads: number, kernels: Kernels | undefined) {
  const program = perceptronProgram(SIZES, {
    batchSize: BATCH,
    learningRate: BATCH / 256,
    workers: 2,
    widths: { logit: 8 },
  });
  const circuit = stepCircuit(program, { blockBits: 7, tableBits: 7 });
  const srs = await createDevelopmentString({ blockBits: 7, ...(kernels && { kernels: kernels.proof }) });
  // one proof in each process, with known randomness: so the bytes can be compared
  const random = () => new Uint8Array(32).fill(42);
  const system = await createProofSystem(circuit, srs, { threads, random, ...(kernels && { kernels }) });
  const executor = await createExecutor(program, kernels && { kernels: kernels.executor });
  executor.load(initialWeights(program, new Uint8Array(32).fill(3)));
  return { system, executor };
}

/** In Node the kernels are found; elsewhere they are passed. */
export async function proveSmallStep(threads: number, kernels?: Kernels): Promise<SmallStep> {
  const { system, executor } = await makeSystem(threads, kernels);
  try {
    const random = randomIntegers(7);
    const x = Int8Array.from({ length: BATCH * SIZES[0] }, () => random(-18, 46));
    const labels = Uint8Array.from({ length: BATCH }, () => random(0, SIZES.at(-1)! - 1));
    const before = executor.weights();
    const blinders = (name: "weights" | "batch", step: number) =>
      deriveBlinders(new Uint8Array(32).fill(5), [name, step], system.blocks[name]);
    const beforeCommitment = await system.commitWeights(before, blinders("weights", 0));
    const batchCommitment = await system.commitBatch(x, labels, blinders("batch", 0));
    const trace = executor.trace(x, BATCH, labels);
    executor.step(x, labels);
    const after = executor.weights();
    const afterCommitment = await system.commitChange(before, beforeCommitment, after, blinders("weights", 1));
    const witness = { before, after, beforeCommitment, afterCommitment, x, labels, batchCommitment, trace };
    const { statement, proof } = await system.proveStep(HEADER, witness);

    const flipped: string[] = [];
    for (const at of [0, proof.length >> 1, proof.length - 1]) {
      const forged = proof.slice();
      forged[at]! ^= 1;
      flipped.push(await outcome(system.verify(statement, forged)));
    }
    const verdict = await outcome(system.verify(statement, proof));
    await system.close();
    return {
      sharedMemory: typeof SharedArrayBuffer !== "undefined",
      proof: toHex(proof),
      verdict,
      flipped,
      afterClose: await outcome(system.commitWeights(before)),
    };
  } finally {
    await system.close();
  }
}

async function fetchKernels(): Promise<Kernels> {
  const compile = (name: string) =>
    WebAssembly.compileStreaming(fetch(new URL(`../../packages/proof/build/${name}`, import.meta.url)));
  return { executor: await compile("kernels.wasm"), proof: await compile("proof.wasm") };
}

/** Called in a page, or in a worker of one. */
export const proveInPage = async (threads: number): Promise<SmallStep> => proveSmallStep(threads, await fetchKernels());

/** Called in a page: the same from a worker, which then starts the threads; applications keep their page free so. */
export function proveInWorker(threads: number): Promise<SmallStep> {
  const script = `import(${JSON.stringify(import.meta.url)})
    .then((module) => module.proveInPage(${threads}))
    .then(postMessage, (error) => postMessage(String(error)));`;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.addEventListener("message", ({ data }) => resolve(data as SmallStep));
    worker.addEventListener("error", ({ message }) => reject(new Error(message)));
  });
}

/** Called in a page: what becomes of a system whose threads may not start, with the cause. */
export async function startInPage(threads: number): Promise<string> {
  try {
    const { system } = await makeSystem(threads, await fetchKernels());
    await system.close();
    return "ok";
  } catch (error) {
    return `${(error as ProofError).code}: ${(error as ProofError).cause}`;
  }
}
