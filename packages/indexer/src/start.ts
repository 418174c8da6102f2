import { assertDeployed, skynetAddresses } from "@skynet/contracts";
import type { Chain, PublicClient, Transport } from "viem";
import { createApp } from "./api/app.ts";
import { isLoopback } from "./api/guards.ts";
import { createRoutes } from "./api/routes.ts";
import { serveApi } from "./api/server.ts";
import type { Sent, statusItem } from "./schemas.ts";
import { sources, tables } from "./sources/index.ts";
import { openStore, type Store } from "./store/store.ts";
import { createChainReader } from "./sync/chain.ts";
import { createFollower, UNDO_BLOCKS, type SyncState } from "./sync/follower.ts";

export interface IndexerOptions {
  readonly rpcUrl: string;
  /** Folder of the database. */
  readonly dataDir: string;
  /** Starts with an empty index. */
  readonly rebuild?: boolean;
  /** Address to listen on, default 127.0.0.1: only this machine is served. */
  readonly listen?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  /** Requests per second and address, default 50. */
  readonly perSecond?: number;
  /** First block that can hold events of SkyNet, by the chain's id; default 0. */
  readonly firstBlock?: (chainId: number) => Promise<bigint>;
  /** Blocks that are in the index, and blocks there are, until it has caught up. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly onNotice?: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface Indexer {
  readonly url: string;
  /** The index has the newest block for the first time. */
  readonly caughtUp: Promise<void>;
  /**
   * Resolves when the signal has aborted and everything is closed.
   * @throws IndexError `WrongChain` when the chain becomes another one
   */
  readonly done: Promise<void>;
}

/** Tables that are counted in the status. */
const counted = tables.filter(({ searchable }) => searchable).map(({ name }) => name);

function statusOf(store: Store, chainId: number, state: SyncState): Sent<typeof statusItem> {
  const addresses = skynetAddresses();
  const count = (name: string) => Number(store.reader.get(`SELECT count(*) AS n FROM ${name}`)?.n);
  const newest = store.reader.get("SELECT number, hash FROM blocks ORDER BY number DESC LIMIT 1");
  return {
    chainId,
    contracts: Object.fromEntries(sources.map((source) => [source.name, source.address(addresses)])),
    block: newest === undefined ? null : { number: Number(newest.number), hash: String(newest.hash) },
    head: state.head,
    caughtUp: state.caughtUp,
    reorgs: state.reorgs,
    trouble: state.trouble?.slice(0, 300) ?? null,
    counts: Object.fromEntries(counted.map((name) => [name, count(name)])),
  };
}

/**
 * Follows the contracts into a database and serves it over HTTP, while it catches up as well.
 * @throws ChainUnreachable; NotDeployedError; IndexError `WrongChain`, `IndexDamaged`, `PortInUse`, `BadListen`
 */
export async function startIndexer(options: IndexerOptions): Promise<Indexer> {
  const { rpcUrl, dataDir, rebuild, listen = "127.0.0.1", port = 0, perSecond = 50, signal } = options;
  const { onProgress = () => undefined, onNotice = () => undefined } = options;
  const chain = createChainReader(rpcUrl);
  const chainId = await chain.chainId();
  const firstBlock = Number((await options.firstBlock?.(chainId)) ?? 0n);
  await assertDeployed(chain.client as PublicClient<Transport, Chain>);
  const store = openStore({ dataDir, tables, undoBlocks: UNDO_BLOCKS, rebuild });
  try {
    if (store.renewed) onNotice("the index was of another version: it is built again");
    const addresses = skynetAddresses();
    const follower = createFollower({ chain, store, chainId, addresses, firstBlock, onProgress, onNotice, signal });
    await follower.identify();
    const routes = createRoutes(store.reader, () => statusOf(store, chainId, follower.state()));
    const onError = (error: unknown) => onNotice(`a request failed: ${(error as Error).message}`);
    const app = createApp({ routes, perSecond, publicly: !isLoopback(listen), onError });
    const server = await serveApi(app, listen, port);
    const done = follower.run().finally(async () => {
      await server.close();
      store.close();
    });
    return { url: server.url, caughtUp: Promise.race([follower.caughtUp, done]), done };
  } catch (error) {
    store.close();
    throw error;
  }
}
