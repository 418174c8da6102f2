import type { Multiaddr } from "@multiformats/multiaddr";
import { MAX_ADDRESSES } from "../discovery/presence.ts";
import { byPreference, byPreferenceOfTabs, isForTabs, pathOf, relayOf, scopeOf } from "./addresses.ts";

/** Most addresses that lead through relays, where there are many direct ones: three for each of two relays. */
const MOST_RELAYED = 6;

/**
 * The ways through one relay: a circuit over its best address, and over the best one that browsers can dial, if that is
 * another; WebRTC over the latter, which serves all, since it only arranges the connection.
 * @param addresses of one relay, the best first
 */
function throughRelay(addresses: readonly Multiaddr[]): Multiaddr[] {
  const forTabs = addresses.filter(isForTabs).toSorted(byPreferenceOfTabs);
  const first = (from: readonly Multiaddr[], path: "webrtc" | "relayed") => from.find((it) => pathOf(it) === path);
  const ways = [
    first(forTabs, "webrtc") ?? first(addresses, "webrtc"),
    first(addresses, "relayed"),
    first(forTabs, "relayed"),
  ];
  return [...new Set(ways)].flatMap((address) => address ?? []);
}

/**
 * The addresses to give to others, the best first: direct ones, public before private, then those through relays.
 * Loopback addresses only if there are no others: elsewhere they lead nowhere.
 */
export function chooseAnnounced(addresses: readonly Multiaddr[]): Multiaddr[] {
  const distant = addresses.filter((address) => scopeOf(address) !== "loopback");
  const usable = (distant.length > 0 ? distant : addresses).toSorted(byPreference);
  const direct = usable.filter((address) => pathOf(address) === "direct");
  const byRelay = Map.groupBy(
    usable.filter((address) => pathOf(address) !== "direct"),
    relayOf,
  );
  const relayed = [...byRelay.values()]
    .flatMap(throughRelay)
    .slice(0, Math.max(MOST_RELAYED, MAX_ADDRESSES - direct.length));
  return [...direct.slice(0, MAX_ADDRESSES - relayed.length), ...relayed];
}
