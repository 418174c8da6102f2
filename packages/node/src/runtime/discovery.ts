import path from "node:path";
import { DEVELOPMENT_CHAIN_ID, type Chain } from "@skynet/contracts";
import {
  bootstrapRelays,
  CLUSTER_ID,
  openPeerBook,
  peerIdFromPublicKey,
  type HostOptions,
  type Log,
  type RelaySource,
} from "@skynet/network";
import { fileStore, loadList } from "@skynet/network/node";
import { fromHex } from "@skynet/protocol";
import type { Bootstrap } from "./bootstrap.ts";

/** Entries that a node reads of the registry, in so many pages when there are more. */
const MOST_ENTRIES = 256;
const PAGES = 4;
const REGISTRY_PAUSE_MS = 15_000;

type Random = () => number;

/** Where to read: when there are many entries, at a random place in each of some parts of the list. */
function pagesOf(count: number, random: Random): { readonly from: number; readonly most: number }[] {
  if (count <= MOST_ENTRIES) return [{ from: 0, most: MOST_ENTRIES }];
  const most = MOST_ENTRIES / PAGES;
  const part = count / PAGES;
  return Array.from({ length: PAGES }, (_, i) => ({ from: Math.floor(i * part + random() * (part - most + 1)), most }));
}

/** A random order: nobody is always the first of which a node remembers a part. */
const shuffled = <T>(list: readonly T[], random: Random): T[] =>
  list
    .map((one) => ({ one, chance: random() }))
    .toSorted((a, b) => a.chance - b.chance)
    .map(({ one }) => one);

/** The relays that are listed on chain. When there are many, a random choice. */
export function registryRelays(
  { relays, chainId }: Pick<Chain, "relays" | "chainId">,
  random: Random = Math.random,
): RelaySource {
  let known: string[] = [];
  let readMs = -Infinity;
  return {
    name: "registry",
    scope: chainId === DEVELOPMENT_CHAIN_ID ? "loopback" : "public",
    async relays() {
      if (Date.now() - readMs < REGISTRY_PAUSE_MS) return known;
      const count = await relays.count();
      const listed = await Promise.all(pagesOf(count, random).map((page) => relays.list(page)));
      known = shuffled(listed.flat(), random).flatMap(({ publicKey, multiaddrs }) => {
        const peer = peerIdFromPublicKey(fromHex(publicKey)).toString();
        return multiaddrs.map((address) => `${address}/p2p/${peer}`);
      });
      readMs = Date.now();
      return known;
    },
  };
}

export interface DiscoveryOptions {
  /** Folder of the node, for its book of peers and its copy of the list. */
  readonly dataDir: string;
  readonly log: Log;
  readonly bootstrap: Bootstrap | undefined;
  readonly chain: Pick<Chain, "relays" | "chainId"> | undefined;
  /** Waku cluster that a signed list must be for; the default one when undefined. */
  readonly cluster?: number | undefined;
}

/** Where a node knows relays from, besides flags and what relays tell: a signed list, the chain, its own book. */
export async function openDiscovery(
  options: DiscoveryOptions,
): Promise<Required<Pick<HostOptions, "relaySources" | "peerBook">>> {
  const { dataDir, log, bootstrap, chain, cluster = CLUSTER_ID } = options;
  const relaySources = chain ? [registryRelays(chain)] : [];
  if (bootstrap !== undefined)
    relaySources.push(
      bootstrapRelays({
        publishers: bootstrap.publishers,
        network: cluster,
        load: (signal) => loadList(bootstrap.source, signal),
        cache: fileStore(path.join(dataDir, "relay-list.json")),
        sequences: fileStore(path.join(dataDir, "relay-list-sequences.json")),
        clock: Date.now,
        monotonic: () => performance.now(),
        log,
      }),
    );
  const peerBook = await openPeerBook(fileStore(path.join(dataDir, "peers.json")), log, Date.now);
  return { relaySources, peerBook };
}
