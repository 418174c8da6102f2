import type { Hex } from "@skynet/protocol";
import { Duel } from "./duel.ts";
import type { TraceBlock } from "./duel.ts";
import { UnexpectedResult } from "./evm.ts";
import type { Evm } from "./evm.ts";
import { people } from "./world.ts";
import type { Call, World } from "./world.ts";

/** Time that is spent on a shorter trace. */
const PATIENCE_MS = 60_000;

/** Whether the trace still fails in the same way. */
async function fails(evm: Evm, newWorld: () => World, trace: readonly TraceBlock[], kind: string): Promise<boolean> {
  const undo = await evm.snapshot();
  const duel = new Duel(evm, newWorld());
  try {
    for (const { time, calls } of trace) {
      const rest = [...calls];
      await duel.block(time, () => rest.shift());
    }
    await duel.finish();
    return false;
  } catch (error) {
    return kindOf(error) === kind;
  } finally {
    await undo();
  }
}

const kindOf = (error: unknown) => (error instanceof Error ? error.name : "unknown");

/** Calls with the numbers of their blocks, so that any of them can be left out. */
interface Placed {
  readonly block: number;
  readonly call: Call;
}

function assemble(blocks: readonly TraceBlock[], calls: readonly Placed[]): TraceBlock[] {
  return blocks
    .map(({ time }, block) => ({ time, calls: calls.filter((one) => one.block === block).map(({ call }) => call) }))
    .filter((block) => block.calls.length > 0);
}

/**
 * A shorter trace that fails in the same way, by leaving out ever smaller parts (Zeller and Hildebrandt, 2002). Calls
 * whose meaning depends on block hashes may keep it from getting short.
 */
export async function shrink(
  evm: Evm,
  newWorld: () => World,
  trace: readonly TraceBlock[],
  reason: unknown,
): Promise<readonly TraceBlock[]> {
  const kind = kindOf(reason);
  let calls: Placed[] = trace.flatMap((block, index) => block.calls.map((call) => ({ block: index, call })));
  const deadline = Date.now() + PATIENCE_MS;
  const still = (part: readonly Placed[]) => fails(evm, newWorld, assemble(trace, part), kind);
  if (!(await still(calls))) return trace.slice(-2);
  for (
    let size = Math.ceil(calls.length / 2);
    size >= 1 && Date.now() < deadline;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = Math.max(0, calls.length - size); from >= 0 && Date.now() < deadline; from -= size) {
      const rest = [...calls.slice(0, from), ...calls.slice(from + size)];
      if (await still(rest)) calls = rest;
      if (from === 0) break;
      if (from < size) from = size;
    }
  }
  return assemble(trace, calls);
}

const names = new Map<Hex, string>(
  Object.entries(people).flatMap(([group, members]) =>
    [members].flat().map(({ address }, index): [Hex, string] => [address, `${group.replace(/s$/, "")}${index}`]),
  ),
);

/** A call as text, with names for people. */
function describeCall({ from, contract, name, args, value }: Call): string {
  const text = JSON.stringify(args, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
  return `${from}: ${contract}.${name}(${text.slice(1, -1)})${value === undefined ? "" : ` with ${value} wei`}`;
}

/** Names instead of addresses, as far as they are known. */
const withNames = (text: string) =>
  [...names].reduce((all, [address, person]) => all.replaceAll(address, person), text);

/** What went wrong, and the trace that leads there. */
export function describeFailure(trace: readonly TraceBlock[], reason: unknown): string {
  const lines = trace.flatMap(({ time, calls }) => [`at ${time}`, ...calls.map((call) => `  ${describeCall(call)}`)]);
  const message = reason instanceof Error ? reason.message : String(reason);
  const where =
    reason instanceof UnexpectedResult ? "the chain disagrees with the model" : "an invariant does not hold";
  return withNames(`${where}: ${message}\n${lines.join("\n")}`);
}
