import { setTimeout as sleep } from "node:timers/promises";
import { DEVELOPMENT_CHAIN_ID, type Chain } from "@skynet/contracts";
import { parseRelayAddress, type Log } from "@skynet/network";
import { SkyNetError } from "@skynet/protocol";

/** An entry outlives a relay that was killed by at most this. */
const LIFETIME_SECONDS = 24 * 3600;
const RENEW_MS = 8 * 3_600_000;
const RETRY_MS = 60_000;
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

interface ListingOptions {
  readonly chain: Pick<Chain, "relays" | "chainId">;
  /** Addresses of the relay now. */
  readonly multiaddrs: () => readonly string[];
  readonly log: Log;
  /** Ends the renewals; `withdraw` is a call of its own. */
  readonly signal: AbortSignal;
}

export interface Listing {
  /** Takes the relay off the list and fetches the deposit. Never throws: an entry ends by itself. */
  withdraw(): Promise<void>;
}

/**
 * Puts a relay on the on-chain list, and keeps it there until the signal aborts. The first time 0.01 ether is locked.
 * @throws ChainError `NoGasMoney`; SkyNetError `NoPublicAddress`
 */
export async function keepListed({ chain, multiaddrs, log, signal }: ListingOptions): Promise<Listing> {
  let said = "";
  const say = async () => {
    const addresses = listedAddresses(multiaddrs(), chain.chainId);
    // An entry that somebody has pruned has to be made again.
    const listed = said === addresses.join(" ") && (await chain.relays.entry()) !== undefined;
    if (listed) await chain.relays.renew(LIFETIME_SECONDS, { signal });
    else await chain.relays.announce(addresses, LIFETIME_SECONDS, { signal });
    said = addresses.join(" ");
    log.info({ addresses, seconds: LIFETIME_SECONDS }, "this relay is on the on-chain list");
  };
  const renew = async () => {
    for (let pauseMs = RENEW_MS; ;) {
      await sleep(pauseMs, undefined, { signal });
      try {
        await say();
        pauseMs = RENEW_MS;
      } catch (error) {
        signal.throwIfAborted();
        pauseMs = RETRY_MS;
        log.warn({ error: String(error) }, "the entry on the on-chain list could not be renewed; trying again");
      }
    }
  };
  await say();
  renew().catch(() => undefined); // It ends only with the signal.
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
