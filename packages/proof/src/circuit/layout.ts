import type { Slot, TensorLayout, TensorName } from "./circuit.ts";

/** Smallest n with 2^n >= count. */
export const log2Up = (count: number): number => (count <= 1 ? 0 : 32 - Math.clz32(count - 1));

/** What wants a place in a tensor: 2^vars cells, of which those behind `used` are never read (others may lie there). */
export interface Request {
  readonly name: string;
  readonly vars: number;
  readonly used?: number;
}

/**
 * Places requests one behind the other, largest first, so that each starts at a multiple of its own size. Returns the
 * slots and the number of cells up to the last used one.
 */
export function placeSlots(
  tensor: TensorName,
  requests: readonly Request[],
): { slots: [string, Slot][]; used: number } {
  const ordered = [...requests].sort((a, b) => b.vars - a.vars);
  let top = 0;
  const slots = ordered.map(({ name, vars, used = 2 ** vars }): [string, Slot] => {
    const offset = Math.ceil(top / 2 ** vars) * 2 ** vars;
    top = offset + used;
    return [name, { tensor, offset, vars }];
  });
  return { slots, used: top };
}

/** Layout of a tensor that holds these slots. */
export function tensorLayout(
  name: TensorName,
  source: TensorLayout["source"],
  used: number,
  slots: readonly Slot[],
  blockBits: number,
): TensorLayout {
  const end = Math.max(used, ...slots.map(({ offset, vars }) => offset + 2 ** vars));
  return { name, source, used, vars: Math.max(blockBits, log2Up(end)), blocks: Math.ceil(used / 2 ** blockBits) };
}
