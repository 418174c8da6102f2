import { toHex } from "@skynet/protocol";

/** The last hashes, to tell a message that comes twice. */
export interface RecentHashes {
  /** Remembers the hash. @returns whether it is new */
  isNew(hash: Uint8Array): boolean;
  /** The next time it is new again. */
  forget(hash: Uint8Array): void;
}

export function createRecentHashes(most = 8192): RecentHashes {
  const seen = new Set<string>();
  return {
    isNew(hash) {
      const key = toHex(hash);
      if (seen.has(key)) return false;
      if (seen.size >= most) seen.delete(seen.values().next().value!);
      seen.add(key);
      return true;
    },
    forget: (hash) => void seen.delete(toHex(hash)),
  };
}
