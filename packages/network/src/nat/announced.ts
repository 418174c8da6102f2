import type { Multiaddr } from "@multiformats/multiaddr";
import { byPreference, pathOf, relayOf, scopeOf } from "./addresses.ts";

/** Most addresses of a presence, and most of them that lead through relays. */
const MOST = 8;
const MOST_RELAYED = 4;

/**
 * The addresses to give to others, the best first: direct ones, public before private, then of each relay one for
 * WebRTC and one for a circuit. Loopback addresses only if there are no others: elsewhere they lead nowhere.
 */
export function chooseAnnounced(addresses: readonly Multiaddr[]): Multiaddr[] {
  const distant = addresses.filter((address) => scopeOf(address) !== "loopback");
  const usable = (distant.length > 0 ? distant : addresses).toSorted(byPreference);
  const direct = usable.filter((address) => pathOf(address) === "direct");
  const perRelay = Map.groupBy(
    usable.filter((address) => pathOf(address) !== "direct"),
    (address) => `${relayOf(address)} ${pathOf(address)}`,
  );
  const best = [...perRelay.values()].flatMap(([first]) => first ?? []);
  const byRelay = best.toSorted((a, b) => Number(pathOf(a) === "relayed") - Number(pathOf(b) === "relayed"));
  const relayed = [...Map.groupBy(byRelay, relayOf).values()]
    .flat()
    .slice(0, Math.max(MOST_RELAYED, MOST - direct.length));
  return [...direct.slice(0, MOST - relayed.length), ...relayed].slice(0, MOST);
}
