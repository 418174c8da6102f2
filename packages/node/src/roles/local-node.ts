import path from "node:path";
import type { Chain } from "@skynet/contracts";
import {
  createDelivery,
  createHost,
  createIdentity,
  hostChannel,
  publicKeyFrom,
  serveBlocks,
  type Delivery,
  type Host,
  type Partials,
} from "@skynet/network";
import { openPartialFiles, openSqliteDeliveryStore } from "@skynet/network/node";
import { SkyNetError } from "@skynet/protocol";
import type { DiskBlockStore } from "@skynet/storage";
import type { Log } from "@skynet/swarm";
import type { Ui } from "../cli/ui.ts";
import type { Bootstrap } from "../runtime/bootstrap.ts";
import { collectOld, openNodeBlocks } from "../runtime/blocks.ts";
import { openDiscovery } from "../runtime/discovery.ts";
import { openChain } from "../runtime/chain.ts";
import { noteKeyUse } from "../runtime/key-use.ts";
import { lockFolder } from "../runtime/lock.ts";
import { openLog } from "../runtime/log.ts";
import { BlockAccess } from "./block-access.ts";

export interface NodeOptions {
  readonly rpcUrl: string;
  /** Relays that the user has named; others are found. */
  readonly relays: readonly string[];
  readonly bootstrap?: Bootstrap | undefined;
  readonly privateKey: Uint8Array;
  readonly dataDir: string;
  readonly listen: readonly string[];
  /** Ask the router to forward the port, where this node listens on a private network (true). */
  readonly upnp?: boolean | undefined;
  /** Limits of data, models and updates, bytes per second; none by default. */
  readonly maxUpBytesPerSecond?: number | undefined;
  readonly maxDownBytesPerSecond?: number | undefined;
  /** Most bytes of blocks on disk (20 GiB). */
  readonly quotaBytes?: number | undefined;
  readonly signal: AbortSignal;
  /** Where it is said that no relay answers, and that one does again. */
  readonly ui?: Pick<Ui, "note" | "event"> | undefined;
  /** Threads for commitments and proofs; a job's own choice by default. */
  readonly threads?: number | undefined;
  /** File of the reference string; the development string by default, which only development chains take. */
  readonly referenceString?: string | undefined;
}

const RELAY_TIMEOUT_MS = 15_000;
/** Nodes that serve others go on without a relay and use the first one that answers; somebody waits for the rest. */
const PATIENT_ROLES: ReadonlySet<string> = new Set(["worker", "host"]);

/** What every working node has: a chain, a host on the network, a block store and a log. */
export interface LocalNode {
  readonly chain: Chain;
  readonly host: Host;
  readonly blocks: DiskBlockStore;
  /** Beginnings of blocks that have not arrived whole: a restarted node goes on from there. */
  readonly partials: Partials;
  readonly log: Log;
  readonly access: BlockAccess;
  /** Messages that arrive, with receipts on disk. */
  readonly delivery: Delivery;
  close(): Promise<void>;
}

/**
 * Opens a node.
 * @throws ChainError `ChainUnreachable`, `NotDeployed`; NetworkError `PortInUse`; FileError `FolderInUse`
 */
export async function openNode(options: NodeOptions, role: string): Promise<LocalNode> {
  const unlock = lockFolder(options.dataDir);
  try {
    return await openLocked(options, role, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function openLocked(options: NodeOptions, role: string, unlock: () => void): Promise<LocalNode> {
  const log = openLog(options.dataDir, role);
  const chain = await openChain(options.rpcUrl, options.privateKey);
  const blocks = await openNodeBlocks(options.dataDir, { quotaBytes: options.quotaBytes, log });
  const partials = await openPartialFiles(path.join(options.dataDir, "partial"));
  await noteKeyUse(options.dataDir, { address: chain.address, role });
  const access = new BlockAccess();
  const host = await createHost({
    identity: createIdentity(options.privateKey),
    listen: [...options.listen],
    relays: [...options.relays],
    upnp: options.upnp ?? true,
    role,
    maxUpBytesPerSecond: options.maxUpBytesPerSecond,
    maxDownBytesPerSecond: options.maxDownBytesPerSecond,
    log,
    signal: options.signal,
    ...(await openDiscovery({ dataDir: options.dataDir, log, bootstrap: options.bootstrap, chain })),
  });
  serveBlocks(host, { allow: (peer, cid) => access.allows(peer, cid), get: (cid) => blocks.get(cid) });
  if (options.ui) tellReachability(host, options.ui);
  try {
    await host.connected({ signal: AbortSignal.any([options.signal, AbortSignal.timeout(RELAY_TIMEOUT_MS)]) });
  } catch (cause) {
    options.signal.throwIfAborted();
    if (!PATIENT_ROLES.has(role)) {
      await host.stop();
      throw unreachable(host, cause);
    }
  }
  const { delivery, stop } = await startDelivery(host, options.dataDir).catch(async (error: unknown) => {
    await host.stop();
    throw error;
  });
  const closing = new AbortController();
  const collected = collectOld(blocks, log, AbortSignal.any([options.signal, closing.signal]));
  const close = async () => {
    closing.abort();
    await collected;
    await stop();
    await host.stop();
    blocks.close();
    unlock();
  };
  return { chain, host, blocks, partials, log, access, delivery, close };
}

/** Numbers and receipts belong to a key, so a new key begins a new file. @throws NetworkError `BrokenStore` */
async function startDelivery(host: Host, dataDir: string): Promise<{ delivery: Delivery; stop(): Promise<void> }> {
  const { identity, log, random, drops } = host;
  const store = openSqliteDeliveryStore(path.join(dataDir, "messages", `${identity.address}.sqlite`), { log });
  const options = { channel: hostChannel(host), identity, store, publicKeyOf: publicKeyFrom(host), random, log, drops };
  const delivery = await createDelivery(options);
  const stop = async () => {
    await delivery.stop();
    store.close();
  };
  return { delivery, stop };
}

function unreachable(host: Host, cause: unknown): SkyNetError {
  const { problem } = host.reachability();
  const hint = problem?.hint ?? "check --relay; is the relay running? npx skynet doctor tells";
  return new SkyNetError("RelayUnreachable", problem?.message ?? "no relay answers", { cause, hint });
}

/** Says once that no relay answers, and once that one does again. */
function tellReachability(host: Host, ui: Pick<Ui, "note" | "event">): void {
  let alone = false;
  host.onReachability(({ live, problem }) => {
    if (alone === (problem !== undefined)) return;
    alone = problem !== undefined;
    ui.event("relays", { live, problem: problem?.message });
    ui.note(problem === undefined ? "a relay answers again" : `${problem.message}; trying on`);
  });
}
