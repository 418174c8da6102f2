import { createHost, createIdentity, fixedRelays, type Host } from "@skynet/network";
import { SkyNetError } from "@skynet/protocol";
import { registryRelays } from "../../runtime/discovery.ts";
import { openReader } from "../account.ts";

/** What was looked at. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  /** What to do when it is not ok. */
  readonly mend?: string;
}

const ANSWER_MS = 5000;
/** Relays that are named when none answers. */
const NAMED = 3;

/**
 * The named relay, else any that the chain's list knows.
 * @param timeoutMs how long it may take to answer, milliseconds
 */
export async function checkRelay(
  relay: string | undefined,
  rpcUrl: string | undefined,
  timeoutMs = ANSWER_MS,
): Promise<Check> {
  const listed = relay === undefined ? await listedRelays(rpcUrl) : [];
  if (relay === undefined && listed.length === 0)
    return {
      name: "Relay",
      ok: false,
      found: "none is given, no devnet runs, and the chain lists none",
      mend: "start one: npx skynet devnet, or give --relay MULTIADDR",
    };
  const privateKey = crypto.getRandomValues(new Uint8Array(32));
  const host = await createHost({
    identity: createIdentity(privateKey),
    listen: [],
    relays: relay === undefined ? [] : [relay],
    relaySources: [fixedRelays("registry", listed)],
  });
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const startedMs = performance.now();
    await host.connected({ signal: late });
    const found = relay ?? host.relays().find(({ state }) => state === "live")?.multiaddrs[0] ?? "a listed relay";
    return { name: "Relay", ok: true, found: `${found} answers in ${(performance.now() - startedMs).toFixed(0)} ms` };
  } catch (error) {
    const check = describe(error, "check --relay; is the relay running, and does a firewall stand between?");
    const tried = late.aborted ? { found: `no answer within ${timeoutMs / 1000} s: ${triedBy(host)}` } : {};
    return { name: "Relay", ok: false, ...check, ...tried };
  } finally {
    await host.stop();
  }
}

/** Each relay that was dialled, and why it is not in use. */
function triedBy(host: Host): string {
  const relays = host.relays();
  const named = relays
    .slice(0, NAMED)
    .map(({ multiaddrs, reason = "it is silent" }) => `${multiaddrs.join(" or ")} (${reason})`);
  const more = relays.length > NAMED ? [`${relays.length - NAMED} more`] : [];
  return [...named, ...more].join(", ");
}

/** None when the chain cannot be asked: its own check says why. */
async function listedRelays(rpcUrl: string | undefined): Promise<readonly string[]> {
  if (rpcUrl === undefined) return [];
  try {
    const chain = await openReader({ rpc: rpcUrl });
    return await registryRelays(chain).relays(AbortSignal.timeout(ANSWER_MS));
  } catch {
    return [];
  }
}

/** What to show of an error, with its own hint or another one. */
export function describe(error: unknown, otherwise: string): { found: string; mend: string } {
  const hint = error instanceof SkyNetError ? error.hint : undefined;
  return { found: (error as Error).message, mend: hint ?? otherwise };
}
