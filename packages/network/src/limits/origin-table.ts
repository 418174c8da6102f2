/** Where an entry came from: an address group, and the network that it belongs to. Entries without an address have "". */
export interface Origin {
  readonly network: string;
  readonly address: string;
}

/** A map with a most size, in which nobody pushes out the entries of others. */
export interface OriginTable<V> {
  get(key: string): V | undefined;
  /** Sets an entry, and forgets others when there are too many. An entry keeps its first origin until it is deleted. */
  set(key: string, value: V, origin: Origin): void;
  delete(key: string): void;
  entries(): Iterable<readonly [string, V]>;
}

interface Entry<V> extends Origin {
  value: V;
}

/** Keys by address by network. */
type Networks = Map<string, Map<string, Set<string>>>;

/** Of the address that must give entries it loses this part at once, so that they are not sorted for each new one. */
const GIVEN_PART = 16;

/**
 * When the table is full, the network with most entries gives some, of its address with most: those of least worth, of
 * equal ones the oldest, never the newest. So a flood of new keys pushes out its own as soon as its addresses have more
 * than others have, and who wants to push out the only entry of an address needs as many networks as there are entries.
 */
export function createOriginTable<V>(most: number, worth: (value: V) => number): OriginTable<V> {
  const entries = new Map<string, Entry<V>>();
  const networks: Networks = new Map();
  const sizes = new Map<string, number>(); // network -> entries

  const remove = (key: string) => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    const addresses = networks.get(entry.network)!;
    const keys = addresses.get(entry.address)!;
    keys.delete(key);
    if (keys.size === 0) addresses.delete(entry.address);
    if (addresses.size === 0) networks.delete(entry.network);
    const size = sizes.get(entry.network)! - 1;
    if (size === 0) sizes.delete(entry.network);
    else sizes.set(entry.network, size);
  };
  const forgetSome = (newest: string) => {
    const network = keyOfMost(sizes, (size) => size);
    const address = keyOfMost(networks.get(network)!, ({ size }) => size);
    const keys = networks.get(network)!.get(address)!;
    const worths = [...keys]
      .filter((key) => key !== newest)
      .map((key) => ({ key, worth: worth(entries.get(key)!.value) }));
    worths.sort((a, b) => a.worth - b.worth);
    for (const { key } of worths.slice(0, Math.ceil(keys.size / GIVEN_PART))) remove(key);
  };
  return {
    get: (key) => entries.get(key)?.value,
    set(key, value, origin) {
      const known = entries.get(key);
      if (known !== undefined) {
        known.value = value;
        return;
      }
      const { network, address } = origin;
      entries.set(key, { value, network, address });
      const addresses = networks.get(network) ?? new Map<string, Set<string>>();
      networks.set(network, addresses.set(address, (addresses.get(address) ?? new Set()).add(key)));
      sizes.set(network, (sizes.get(network) ?? 0) + 1);
      if (entries.size > most) forgetSome(key);
    },
    delete: remove,
    *entries() {
      for (const [key, { value }] of entries) yield [key, value];
    },
  };
}

/** The key with the highest figure, of equal ones the first. */
function keyOfMost<V>(map: ReadonlyMap<string, V>, figure: (value: V) => number): string {
  let best = "";
  let highest = Number.NEGATIVE_INFINITY;
  for (const [key, value] of map) {
    const own = figure(value);
    if (own <= highest) continue;
    highest = own;
    best = key;
  }
  return best;
}
