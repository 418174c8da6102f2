import { DataError } from "./errors.ts";
import { add, multiply, type Point } from "./field/curve.ts";
import { inverse } from "./field/fr.ts";
import { checkWeights, type IntegerProgram, WEIGHT_BITS } from "./program.ts";

const LIMIT = 2 ** WEIGHT_BITS;

/** (W' - W) / N of one tensor. */
function quotients(program: IntegerProgram, layer: number, base: Int32Array, updated: Int32Array): Int32Array {
  const { workers, layers } = program;
  return updated.map((value, i) => {
    const delta = (value - base[i]!) / workers;
    if (!Number.isInteger(delta))
      throw new DataError(
        "BadDelta",
        `weight ${i} of ${layers[layer]!.name} changed by ${value - base[i]!}, which is not a multiple of ${workers}`,
      );
    return delta;
  });
}

/**
 * The exact average of a round: W_next = W + (1/N) sum(W'_w - W) over the workers that delivered. Always divided by the
 * nominal N, so a worker that dropped out counts as a zero delta. A mean of weights within |w| < 2^30 stays there.
 * @param base the weights W at the start of the round
 * @param updates the weights W'_w of each worker, at most N
 * @throws DataError `BadDelta` when a delta is not a multiple of N, `BadWeights` for wrong shapes or ranges
 */
export function average(
  program: IntegerProgram,
  base: readonly Int32Array[],
  updates: readonly (readonly Int32Array[])[],
): Int32Array[] {
  if (updates.length > program.workers)
    throw new DataError("BadDelta", `${updates.length} updates for ${program.workers} workers`);
  checkWeights(program, base);
  for (const update of updates) checkWeights(program, update);
  return base.map((tensor, layer) => {
    const sums = Float64Array.from(tensor);
    for (const update of updates) {
      const deltas = quotients(program, layer, tensor, update[layer]!);
      for (let i = 0; i < sums.length; i++) sums[i]! += deltas[i]!;
    }
    return Int32Array.from(sums);
  });
}

/** Bytes of every encoded delta of this program. */
export function deltaBytes(program: IntegerProgram): number {
  return program.layers.reduce((sum, { inputs, outputs }) => sum + 4 * (inputs + 1) * outputs, 0);
}

/**
 * A worker's update as bytes: (W' - W) / N for all tensors in order, each element a 32-bit little-endian integer. One
 * update has one encoding.
 * @throws DataError `BadDelta`, `BadWeights`
 */
export function encodeDelta(
  program: IntegerProgram,
  base: readonly Int32Array[],
  updated: readonly Int32Array[],
): Uint8Array {
  checkWeights(program, base);
  checkWeights(program, updated);
  const view = new DataView(new ArrayBuffer(deltaBytes(program)));
  let at = 0;
  base.forEach((tensor, layer) => {
    for (const delta of quotients(program, layer, tensor, updated[layer]!)) {
      view.setInt32(at, delta, true);
      at += 4;
    }
  });
  return new Uint8Array(view.buffer);
}

/**
 * The weights W' that an encoded update stands for; the reverse of `encodeDelta`.
 * @throws DataError `BadDelta` when the length is wrong or a weight would leave |w| < 2^30
 */
export function decodeDelta(program: IntegerProgram, base: readonly Int32Array[], bytes: Uint8Array): Int32Array[] {
  checkWeights(program, base);
  if (bytes.length !== deltaBytes(program))
    throw new DataError("BadDelta", `the update has ${bytes.length} bytes instead of ${deltaBytes(program)}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  return base.map((tensor, layer) =>
    tensor.map((value) => {
      const updated = value + program.workers * view.getInt32(at, true);
      at += 4;
      if (updated >= LIMIT || updated <= -LIMIT)
        throw new DataError("BadDelta", `the update takes a weight of ${program.layers[layer]!.name} out of range`);
      return updated;
    }),
  );
}

/**
 * The average of a round over commitments: C_next = (1/N) sum_w C_w + ((N - n)/N) C for n of N nominal updates. Equal to
 * the commitments of `average`, because commitments add up like weights.
 */
export function averageCommitments(
  base: readonly Point[],
  updates: readonly (readonly Point[])[],
  nominal: number,
): Point[] {
  const share = inverse(BigInt(nominal));
  return base.map((own, block) => {
    const missing = multiply(own, BigInt(nominal - updates.length));
    return multiply(
      updates.reduce((sum, points) => add(sum, points[block]!), missing),
      share,
    );
  });
}
