import type { MessageStore } from "@skynet/network";

export interface StoreCounts {
  added: number;
  queries: number;
  failures: number;
}

/** A history that counts how it is used. */
export interface CountedStore extends MessageStore {
  readonly counts: Readonly<StoreCounts>;
}

export function countStore(store: MessageStore): CountedStore {
  const counts: StoreCounts = { added: 0, queries: 0, failures: 0 };
  const failed = (error: unknown): never => {
    counts.failures += 1;
    throw error;
  };
  return {
    counts,
    add: (message) => {
      try {
        store.add(message);
        counts.added += 1;
      } catch (error) {
        failed(error);
      }
    },
    query: async (query) => {
      counts.queries += 1;
      return store.query(query).catch(failed);
    },
    size: () => store.size(),
    prune: () => store.prune(),
    close: () => store.close(),
  };
}
