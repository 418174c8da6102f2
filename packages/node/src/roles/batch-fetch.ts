import { fetchBlocks } from "@skynet/network";
import type { Address } from "@skynet/swarm";
import type { LocalNode } from "./local-node.ts";

interface BatchFetcherOptions {
  /** Members that can have the batches now, those that surely have them first. */
  readonly sources: () => readonly Address[];
  /** About what an encrypted batch has. */
  readonly expectedBytes: number;
  readonly signal: AbortSignal;
}

export interface BatchFetcher {
  /** @throws NetworkError, see `fetchBlocks` */
  fetch(cid: string): Promise<Uint8Array>;
}

/** Batches that are wanted within this time are fetched together. */
const GATHER_MS = 5;
/** How long members that cannot be reached are tried again without any progress. */
const PATIENCE_MS = 10_000;

/**
 * Fetches the batches of a job: those that are wanted at about the same time come together, from all members that have
 * them, each as much as it can give.
 */
export function createBatchFetcher(
  { host, partials }: Pick<LocalNode, "host" | "partials">,
  { sources, expectedBytes, signal }: BatchFetcherOptions,
): BatchFetcher {
  let gathered = new Map<string, PromiseWithResolvers<Uint8Array>>();
  const fetchGathered = async () => {
    const wanted = [...gathered];
    gathered = new Map();
    try {
      const blocks = wanted.map(([cid]) => ({ cid, expectedBytes }));
      const onBlock = (index: number, bytes: Uint8Array) => wanted[index]![1].resolve(bytes);
      await fetchBlocks(host, blocks, { sources: sources(), onBlock, signal, partials, patienceMs: PATIENCE_MS });
    } catch (error) {
      for (const [, { reject }] of wanted) reject(error);
    }
  };
  return {
    fetch(cid) {
      const known = gathered.get(cid);
      if (known !== undefined) return known.promise;
      if (gathered.size === 0) setTimeout(() => void fetchGathered(), GATHER_MS);
      const batch = Promise.withResolvers<Uint8Array>();
      gathered.set(cid, batch);
      return batch.promise;
    },
  };
}
