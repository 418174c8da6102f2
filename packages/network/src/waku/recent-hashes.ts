import { toHex } from "@skynet/protocol";

/** Remembers the last hashes, to tell a message that comes twice. @returns whether the hash is new */
export function createRecentHashes(most = 8192): (hash: Uint8Array) => boolean {
  const seen = new Set<string>();
  return (hash) => {
    const key = toHex(hash);
    if (seen.has(key)) return false;
    if (seen.size >= most) seen.delete(seen.values().next().value!);
    seen.add(key);
    return true;
  };
}
