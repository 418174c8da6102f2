import path from "node:path";
import type { Chain } from "@skynet/contracts";
import { createHost, createIdentity, serveBlocks, type Host } from "@skynet/network";
import { SkyNetError } from "@skynet/protocol";
import { openBlockStore, type BlockStore } from "@skynet/storage";
import type { Log } from "@skynet/swarm";
import { openChain } from "../runtime/chain.ts";
import { noteKeyUse } from "../runtime/key-use.ts";
import { lockFolder } from "../runtime/lock.ts";
import { openLog } from "../runtime/log.ts";
import { BlockAccess } from "./block-access.ts";

export interface NodeOptions {
  readonly rpcUrl: string;
  readonly relays: readonly string[];
  readonly privateKey: Uint8Array;
  readonly dataDir: string;
  readonly listen: readonly string[];
  readonly signal: AbortSignal;
  /** Threads for commitments and proofs; a job's own choice by default. */
  readonly threads?: number | undefined;
  /** File of the reference string; the development string by default, which only development chains take. */
  readonly referenceString?: string | undefined;
}

const RELAY_TIMEOUT_MS = 15_000;

/** What every working node has: a chain, a host on the network, a block store and a log. */
export interface LocalNode {
  readonly chain: Chain;
  readonly host: Host;
  readonly blocks: BlockStore;
  readonly log: Log;
  readonly access: BlockAccess;
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
  const blocks = await openBlockStore(path.join(options.dataDir, "blocks"));
  await noteKeyUse(options.dataDir, { address: chain.address, role });
  const access = new BlockAccess();
  const host = await createHost({
    identity: createIdentity(options.privateKey),
    listen: [...options.listen],
    relays: [...options.relays],
    role,
    log,
    signal: options.signal,
  });
  serveBlocks(host, { allow: (peer, cid) => access.allows(peer, cid), get: (cid) => blocks.get(cid) });
  try {
    await host.connected({ signal: AbortSignal.any([options.signal, AbortSignal.timeout(RELAY_TIMEOUT_MS)]) });
  } catch (cause) {
    await host.stop();
    options.signal.throwIfAborted();
    throw new SkyNetError("RelayUnreachable", `no relay answers at ${options.relays.join(", ")}`, {
      cause,
      hint: "check --relay; is the relay running? npx skynet doctor tells",
    });
  }
  const close = async () => {
    await host.stop();
    unlock();
  };
  return { chain, host, blocks, log, access, close };
}
