import { startTestChain } from "../test-chain.ts";
import { measureAccounts } from "./accounts.ts";
import { Crowd } from "./crowd.ts";
import { measureSmallJobs } from "./jobs.ts";
import { measureMarket } from "./market.ts";
import { externalFunctions, GasMeter } from "./meter.ts";
import type { GasRow } from "./meter.ts";
import { measureRelays } from "./relays.ts";
import { measureRounds } from "./rounds.ts";
import { measureProofs, measureQuorum } from "./seats.ts";

export { externalFunctions, GAS_LIMIT } from "./meter.ts";
export type { GasRow } from "./meter.ts";

/** Gas of every external function, single and in batches, up to the caps of the specification; on chains of its own. */
export async function measureGas(): Promise<GasRow[]> {
  const meter = new GasMeter();
  const chain = await startTestChain(2);
  try {
    await measureAccounts(chain, meter);
    await measureRelays(chain, meter);
    await chain.parties[1]!.mint(100_000n);
    await chain.parties[1]!.deposit(chain.parties[1]!.addresses.testToken, 100_000n);
    await measureMarket(chain, meter);
    const crowd = new Crowd(chain.parties[0]!);
    await crowd.enroll(chain);
    await measureQuorum(crowd, chain, meter);
    await measureProofs(crowd, chain, meter);
    await measureRounds(crowd, chain, meter);
  } finally {
    await chain.stop();
  }
  await measureSmallJobs(meter);
  const order = externalFunctions();
  const place = ({ contract, functionName }: GasRow) => order.indexOf(`${contract}.${functionName}`);
  return meter.rows.toSorted((a, b) => place(a) - place(b));
}

/** The rows as a table in Markdown, and in the form in which tests read them again. */
export function gasTable(rows: readonly GasRow[]): string {
  const lines = rows.map(
    ({ contract, functionName, situation, gas }) =>
      `| \`${contract}.${functionName}\` | ${situation} | ${gas.toLocaleString("en")} |`,
  );
  return ["| function | situation | gas |", "|---|---|---:|", ...lines].join("\n");
}
