import path from "node:path";
import { createHost, createIdentity, type Host } from "@skynet/network";
import { openPartialFiles } from "@skynet/network/node";
import { SkyNetError } from "@skynet/protocol";
import type { DiskBlockStore } from "@skynet/storage";
import { dropDeadFetches, openNodeBlocks } from "../runtime/blocks.ts";
import type { LocalNode } from "./local-node.ts";

const CONNECT_MS = 10_000;

export interface VisitorOptions {
  readonly relays: readonly string[];
  /** Other sources of relays. */
  readonly relaySources?: Parameters<typeof createHost>[0]["relaySources"];
  readonly signal: AbortSignal;
}

/**
 * A host that only asks, for commands without a node of their own: its key is made for it, it announces nothing that
 * anybody could use, and it listens nowhere.
 * @throws SkyNetError `RelayUnreachable`
 */
export async function openVisitor({ relays, relaySources = [], signal }: VisitorOptions): Promise<Host> {
  const identity = createIdentity(crypto.getRandomValues(new Uint8Array(32)));
  const host = await createHost({ identity, listen: [], relays: [...relays], relaySources, upnp: false, signal });
  try {
    await host.connected({ signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]) });
    return host;
  } catch (cause) {
    await host.stop();
    signal.throwIfAborted();
    throw new SkyNetError("RelayUnreachable", "no relay answers", {
      cause,
      hint: "check --relay; npx skynet doctor tells",
    });
  }
}

/** A visitor with a folder, so that a large transfer goes on after a crash. */
export interface VisitingNode extends Pick<LocalNode, "host" | "partials" | "blocks"> {
  readonly blocks: DiskBlockStore;
  /** Parts of what was not fetched completely stay an hour. */
  close(): Promise<void>;
}

/** @throws as {@link openVisitor}; StorageError `StoreFailed` */
export async function openVisitingNode(folder: string, options: VisitorOptions): Promise<VisitingNode> {
  const host = await openVisitor(options);
  try {
    const blocks = await openNodeBlocks(folder);
    dropDeadFetches(blocks);
    const partials = await openPartialFiles(path.join(folder, "partial"));
    const close = async () => {
      await host.stop();
      await blocks.gc();
      blocks.close();
    };
    return { host, blocks, partials, close };
  } catch (error) {
    await host.stop();
    throw error;
  }
}
