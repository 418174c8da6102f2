// The module proof.wasm: vectors over the scalar field of BN254 and multi-scalar multiplication in its first group.
// Pointers are byte offsets, lengths count elements, targets come first. Elements and their lazy bounds are described in
// field-kernels.ts. A target may be one of the sources at the same place unless a function says otherwise.
export * from "./vector";
export * from "./integers";
export * from "./sumcheck";
export * from "./curve";
export * from "./multiexp";
export * from "./fixed-base";

/** The first byte that the host may use: static data of the kernels lies below. */
export function heapStart(): usize {
  return __heap_base;
}
