import { setTimeout as sleep } from "node:timers/promises";
import { DEVELOPMENT_CHAIN_ID, type Chain } from "@skynet/contracts";
import { parseRelayAddress, type Log } from "@skynet/network";
import { SkyNetError } from "@skynet/protocol";

/** An entry outlives a relay that was killed by at most this. */
const LIFETIME_SECONDS = 24 * 3600;
const RENEW_MS = 8 * 3_600_000;
const RETRY_MS = 60_000;
const CHECK_MS = 10_000;
/** Changed addresses are said when they have stayed for this time, and not more often than this: each costs gas. */
const SETTLE_MS = 60_000;
const PAUSE_MS = 10 * 60_000;
/** Dead entries that are taken off the list with each renewal, for those who read it. */
const MOST_PRUNED = 2;
const WITHDRAW_TIMEOUT_MS = 6000;
const MAX_BYTES = 256;

/**
 * What to announce of the addresses that a relay has: without the PeerId, at most 256 characters; off development
 * chains only those that others can reach.
 * @throws SkyNetError `NoPublicAddress`
 */
export function listedAddresses(multiaddrs: readonly string[], chainId: number): string[] {
  const parsed = multiaddrs.flatMap((text) => parseRelayAddress(text) ?? []);
  const reachable = parsed.filter(({ scope }) => chainId === DEVELOPMENT_CHAIN_ID || scope === "public");
  const chosen: string[] = [];
  for (const { text } of reachable) {
    const address = text.replace(/\/p2p\/[^/]+$/, "");
    if ([...chosen, address].join(" ").length <= MAX_BYTES) chosen.push(address);
  }
  if (chosen.length > 0) return chosen;
  throw new SkyNetError("NoPublicAddress", "this relay has no address that others could reach", {
    hint: "listen on a public address, such as --listen /ip4/0.0.0.0/tcp/60000 on a machine that has one",
  });
}

/** Milliseconds. */
export interface ListingTimes {
  /** How often the addresses are looked at. */
  readonly checkMs: number;
  readonly settleMs: number;
  readonly pauseMs: number;
  readonly renewMs: number;
}

interface ListingOptions {
  readonly chain: Pick<Chain, "relays" | "chainId">;
  /** Addresses of the relay now. */
  readonly multiaddrs: () => readonly string[];
  readonly log: Log;
  /** Ends the renewals; `withdraw` is a call of its own. */
  readonly signal: AbortSignal;
  readonly times?: Partial<ListingTimes>;
}

export interface Listing {
  /** Takes the relay off the list and fetches the deposit. Never throws: an entry ends by itself. */
  withdraw(): Promise<void>;
}

/**
 * Puts a relay on the on-chain list, and keeps it there until the signal aborts: its entry is renewed in time, and
 * changed soon after the addresses have. The first time 0.01 ether is locked.
 * @throws ChainError `NoGasMoney`; SkyNetError `NoPublicAddress`
 */
export async function keepListed({ chain, multiaddrs, log, signal, times = {} }: ListingOptions): Promise<Listing> {
  const { checkMs = CHECK_MS, settleMs = SETTLE_MS, pauseMs = PAUSE_MS, renewMs = RENEW_MS } = times;
  let said = "";
  const say = async () => {
    const addresses = listedAddresses(multiaddrs(), chain.chainId);
    // An entry that somebody has pruned has to be made again.
    const listed = said === keyOf(addresses) && (await chain.relays.entry()) !== undefined;
    if (listed) await chain.relays.renew(LIFETIME_SECONDS, { signal });
    else await chain.relays.announce(addresses, LIFETIME_SECONDS, { signal });
    said = keyOf(addresses);
    log.info({ addresses, seconds: LIFETIME_SECONDS }, "this relay is on the on-chain list");
  };
  const keep = async () => {
    const change = settled(settleMs);
    let nextMs = Date.now() + renewMs;
    let mayChangeMs = Date.now() + pauseMs;
    for (;;) {
      await sleep(checkMs, undefined, { signal });
      const nowMs = Date.now();
      const changed = change(addressesNow(multiaddrs, chain.chainId) ?? said, said, nowMs) && nowMs >= mayChangeMs;
      if (nowMs < nextMs && !changed) continue;
      try {
        await say();
        nextMs = nowMs + renewMs;
        mayChangeMs = nowMs + pauseMs;
        await prune(chain, { log, signal });
      } catch (error) {
        signal.throwIfAborted();
        nextMs = nowMs + RETRY_MS;
        mayChangeMs = nextMs;
        log.warn({ error: String(error) }, "the entry on the on-chain list could not be renewed; trying again");
      }
    }
  };
  await say();
  keep().catch(() => undefined); // It ends only with the signal.
  return {
    async withdraw() {
      try {
        await chain.relays.withdraw({ signal: AbortSignal.timeout(WITHDRAW_TIMEOUT_MS) });
      } catch (error) {
        const hint = "the entry ends by itself; the deposit returns at the next clean stop";
        log.warn({ error: String(error), hint }, "this relay could not leave the on-chain list");
      }
    },
  };
}

/** Their order may change at any time, and means nothing. */
const keyOf = (addresses: readonly string[]): string => addresses.toSorted().join(" ");

/** What to list now; undefined while there is nothing, which is no reason to leave the list. */
function addressesNow(multiaddrs: () => readonly string[], chainId: number): string | undefined {
  try {
    return keyOf(listedAddresses(multiaddrs(), chainId));
  } catch {
    return undefined;
  }
}

/** @returns function that tells whether a value has differed from the old one, and been the same, for `settleMs` */
function settled(settleMs: number): (value: string, old: string, nowMs: number) => boolean {
  let seen: { readonly value: string; readonly sinceMs: number } | undefined;
  return (value, old, nowMs) => {
    if (value === old) seen = undefined;
    else if (value !== seen?.value) seen = { value, sinceMs: nowMs };
    return seen !== undefined && nowMs - seen.sinceMs >= settleMs;
  };
}

/** Takes some dead entries off the list; whoever kept them has left. */
async function prune(
  { relays }: ListingOptions["chain"],
  { log, signal }: Pick<ListingOptions, "log" | "signal">,
): Promise<void> {
  try {
    for (const { relay } of (await relays.expired()).slice(0, MOST_PRUNED)) {
      await relays.prune(relay, { signal });
      log.info({ relay }, "an entry that had expired is off the on-chain list");
    }
  } catch (error) {
    // Another relay was faster, or the next renewal goes on.
    if (!signal.aborted) log.debug({ error: String(error) }, "expired entries stay on the on-chain list");
  }
}
