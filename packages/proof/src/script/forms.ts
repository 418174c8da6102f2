import type { Cells, Form } from "../circuit/circuit.ts";
import type { Point } from "./backend.ts";
import { equalityFactor, type Script, slotTerm, sum } from "./context.ts";
import type { Linear } from "./linear.ts";

/** weight x form at the point r of its cells: terms over committed slots and a known constant. */
export function formAt<Value>(
  script: Script<Value>,
  { terms, everywhere, realSamples }: Form,
  { unitVars, units }: Cells,
  r: Point<Value>,
  weight: Value = script.one,
): Linear<Value> {
  const { backend, circuit } = script;
  const { batchVars, batch } = circuit;
  const samples = () => backend.prefix(r, 0, batchVars, batch);
  const real = () => backend.prefix(r, batchVars, unitVars, units);
  const cell = equalityFactor(r, 0, batchVars + unitVars);
  const row = equalityFactor(r, 0, batchVars);
  const list = terms.map(({ kind, slot, coefficient }) => {
    const own = coefficient === 1n ? weight : backend.mul(weight, backend.constant(coefficient));
    switch (kind) {
      case "cell":
        return slotTerm(script, slot, [cell], own);
      case "masked":
        return slotTerm(script, slot, [cell], backend.mul(own, backend.mul(samples(), real())));
      case "row":
        return slotTerm(script, slot, [row], backend.mul(own, real()));
      case "rowSum":
        return slotTerm(script, slot, [row, { kind: "prefix", vars: unitVars, count: units }], own);
      case "paddedSum":
        return slotTerm(script, slot, [row, { kind: "ones", vars: unitVars }], own);
    }
  });
  const constants = [backend.constant(everywhere)];
  if (realSamples !== 0n) constants.push(backend.mul(backend.constant(realSamples), samples()));
  return { constant: backend.mul(weight, sum(script, constants)), terms: list };
}
