/**
 * Keeps the beginnings of blocks that have not arrived whole, so that a transfer goes on at the same byte after a drop
 * or, on disk, after a restart. What it holds is checked only when the block is whole.
 */
export interface Partials {
  /** Bytes kept of a block, from its start; empty when there are none. */
  load(cid: string): Promise<Uint8Array>;
  /** Adds bytes at `from`, which is where the kept ones end. */
  append(cid: string, from: number, bytes: Uint8Array): Promise<void>;
  remove(cid: string): Promise<void>;
  /** Removes all of them: what they belong to must not stay on the disk. */
  clear(): Promise<void>;
}

/** In memory; the beginnings that were touched longest ago make room. */
export function createMemoryPartials(maxBytes: number): Partials {
  const kept = new Map<string, Uint8Array>();
  let bytes = 0;
  const remove = (cid: string) => {
    bytes -= kept.get(cid)?.length ?? 0;
    kept.delete(cid);
  };
  return {
    load: async (cid) => kept.get(cid) ?? new Uint8Array(),
    async append(cid, from, added) {
      const before = kept.get(cid) ?? new Uint8Array();
      if (before.length !== from) return;
      const joined = new Uint8Array(from + added.length);
      joined.set(before);
      joined.set(added, from);
      remove(cid);
      kept.set(cid, joined);
      bytes += joined.length;
      for (const oldest of kept.keys()) {
        if (bytes <= maxBytes) return;
        remove(oldest);
      }
    },
    remove: async (cid) => remove(cid),
    clear: async () => {
      for (const cid of kept.keys()) remove(cid);
    },
  };
}
