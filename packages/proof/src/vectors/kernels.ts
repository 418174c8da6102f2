import { compileKernels, instantiateKernels, type KernelSource } from "../kernels.ts";

/** The functions of `kernels/proof/`; pointers are byte offsets, targets come first. */
export interface ProofKernels {
  heapStart(): number;

  fromDoubles(z: number, x: number, n: number): void;
  fromWords(z: number, x: number, n: number): void;
  toWords(z: number, x: number, n: number): void;
  equality(z: number, point: number, variables: number): void;
  add(z: number, x: number, n: number): void;
  addScaled(z: number, x: number, k: number, n: number): void;
  scale(z: number, x: number, k: number, n: number): void;
  subtractFrom(z: number, k: number, x: number, n: number): void;
  multiply(z: number, x: number, y: number, n: number): void;
  outer(z: number, low: number, lows: number, high: number, highs: number): void;
  dot(z: number, x: number, y: number, n: number): void;
  rowDots(z: number, matrix: number, x: number, rows: number, columns: number): void;
  columnDots(z: number, matrix: number, x: number, rows: number, columns: number): void;
  integerRowDots(z: number, matrix: number, x: number, rows: number, columns: number): void;
  integerColumnDots(z: number, matrix: number, x: number, rows: number, columns: number): void;
  fold(x: number, half: number, r: number): void;
  foldLow(z: number, x: number, half: number, r: number): void;
  invert(x: number, n: number, prefix: number): void;
  evaluate(z: number, x: number, n: number, r: number): void;
  divideLinear(z: number, x: number, n: number, r: number): void;

  quadraticRound(out: number, x: number, y: number, half: number): void;
  lookupRound(out: number, eq: number, tables: number, lanes: number, numerators: boolean, half: number): void;
  termsRound(
    out: number,
    eq: number,
    tables: number,
    count: number,
    terms: number,
    termCount: number,
    half: number,
    scratch: number,
    points: number,
  ): void;

  pointsFromWords(points: number, words: number, factor: number, n: number): number;
  pointsToWords(z: number, points: number, n: number): void;
  firstOffCurve(points: number, n: number): number;
  toAffineWords(z: number, point: number): void;

  bitLengths(histogram: number, x: number, n: number, doubles: boolean): void;
  integerDigits(digits: number, x: number, n: number, doubles: boolean, windows: number, count: number): void;
  wordDigits(digits: number, x: number, n: number, windows: number, count: number): void;
  multiexpBytes(n: number, windows: number, buckets: number): number;
  multiplesTable(table: number, windows: number): void;
  multiplesBytes(n: number, windows: number): number;
  multiples(points: number, table: number, digits: number, n: number, windows: number, scratch: number): void;
  multiexp(out: number, points: number, n: number, windows: number, count: number, scratch: number): void;
}

/** Kernels with a memory of their own. */
export interface ProofInstance {
  readonly kernels: ProofKernels;
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
}

/** @throws DataError `BadKernels` */
export async function instantiateProofKernels(source?: KernelSource): Promise<ProofInstance> {
  const module = await compileKernels("proof.wasm", source);
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 65536 });
  return { kernels: await instantiateKernels<ProofKernels>(module, memory), memory, module };
}
