import { ProofError } from "../errors.ts";
import type { ProofInstance } from "./kernels.ts";

const PAGE = 65536;

/** Stack allocation in the memory of the kernels. Views must be taken anew after every allocation: it may move memory. */
export class Stack {
  readonly #memory: WebAssembly.Memory;
  #top: number;

  constructor({ kernels, memory }: ProofInstance) {
    this.#memory = memory;
    // AssemblyScript's heap starts behind the static data.
    this.#top = Math.ceil(kernels.heapStart() / 64) * 64;
  }

  get buffer(): ArrayBuffer {
    return this.#memory.buffer as ArrayBuffer;
  }

  /** Takes `bytes` bytes, aligned to 64. @throws ProofError `OutOfMemory` */
  allocate(bytes: number): number {
    const at = this.#top;
    const end = at + Math.ceil(bytes / 64) * 64;
    const missing = Math.ceil((end - this.#memory.buffer.byteLength) / PAGE);
    if (missing > 0) this.#grow(missing, bytes);
    this.#top = end;
    return at;
  }

  #grow(pages: number, wanted: number): void {
    try {
      this.#memory.grow(pages);
    } catch (cause) {
      throw new ProofError("OutOfMemory", `no memory for ${wanted} more bytes of vectors`, {
        hint: "Close other programs, or use a smaller model or batch.",
        cause,
      });
    }
  }

  mark(): number {
    return this.#top;
  }

  /** Frees everything that was taken after `mark`. */
  release(mark: number): void {
    this.#top = mark;
  }
}
