// Data by their CID: from this machine, from nodes that have them, else from gateways; every byte is checked.
import { existsSync } from "node:fs";
import path from "node:path";
import { cleanText, SkyNetError } from "@skynet/protocol";
import {
  downloadFile,
  exportFile,
  StorageError,
  type FetchSourceOptions,
  type Gateways,
  type StorageErrorCode,
} from "@skynet/storage";
import type { Address } from "@skynet/swarm";
import { shortCid } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { fetchFile, knownNodes } from "../roles/content.ts";
import type { LocalNode } from "../roles/local-node.ts";
import { blocksFolder, openNodeBlocks } from "../runtime/blocks.ts";
import { systemClock } from "../runtime/clock.ts";

export type FetchCid = NonNullable<FetchSourceOptions["fetchCid"]>;
/** A node as far as fetching needs one. */
export type FetchingNode = Pick<LocalNode, "host" | "partials" | "blocks">;

export interface CidPlaces {
  /** Data folders of this machine whose blocks are looked at first. */
  readonly folders: readonly string[];
  /** A node that can ask others; undefined where there is no relay to find any. */
  readonly node: () => Promise<FetchingNode | undefined>;
  /** Nodes to ask; by default those that are online. */
  readonly from?: readonly Address[] | undefined;
  readonly gateways: () => Gateways;
  /** Opens files that `skynet storage upload` has encrypted; an age identity. */
  readonly identity?: (() => Promise<string>) | undefined;
  readonly ui: Pick<Ui, "note" | "progress" | "event">;
}

/** Nodes that are asked when none is named. */
const MOST_NODES = 16;
/** How long a node that has just come waits for others to announce themselves. */
const HEAR_MS = 5_000;
const LOOK_MS = 200;
/** What nodes answer that do not have it: somebody else may. */
const NOT_HERE: ReadonlySet<string> = new Set([
  "Unreachable",
  "NotFound",
  "Refused",
  "Stalled",
  "BadBlock",
  "NoSource",
  "RelayUnreachable",
]);
/** What gateways answer that do not have it. */
const NOT_THERE: ReadonlySet<string> = new Set(["RemoteMissing", "DownloadFailed", "BadAnswer"]);

/** How `fetchSource` gets what is behind a CID. It says where from; what stopped goes on when it is called again. */
export function createCidFetcher(places: CidPlaces): FetchCid {
  return async (cid, file, { signal }) => {
    if (await fromThisMachine(cid, file, places, signal)) return;
    const why = await fromNodes(cid, file, places, signal);
    if (why === undefined) return;
    places.ui.note(`${shortCid(cid)} does not come from nodes (${why}): asking gateways`);
    await fromGateways(cid, file, why, places, signal);
  };
}

async function fromThisMachine(
  cid: string,
  file: string,
  { folders, ui }: CidPlaces,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (const folder of folders) {
    if (!existsSync(blocksFolder(folder))) continue;
    const blocks = await openNodeBlocks(folder, { quotaBytes: Infinity });
    try {
      const onProgress = progressOf(ui, `Copying ${shortCid(cid)} from ${path.basename(folder)}`);
      await exportFile(blocks, cid, file, { overwrite: true, signal, onProgress });
      ui.event("fetched", { cid, from: "disk" });
      return true;
    } catch (error) {
      if (!(error instanceof StorageError && error.code === "BlockMissing")) throw error;
    } finally {
      blocks.close();
    }
  }
  return false;
}

/** @returns why it did not come; undefined when it did */
async function fromNodes(
  cid: string,
  file: string,
  places: CidPlaces,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { ui } = places;
  try {
    const node = await places.node();
    if (node === undefined) return "no relay is known here";
    const from = places.from?.length ? places.from : await nodesThere(node, signal);
    if (from.length === 0) return "none is online";
    const label = `Fetching ${shortCid(cid)} from ${from.length === 1 ? "a node" : `${from.length} nodes`}`;
    await fetchFile(node, cid, file, { from, signal, discard: true, onProgress: progressOf(ui, label) });
    ui.event("fetched", { cid, from: "nodes" });
    return undefined;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof SkyNetError && NOT_HERE.has(error.code)) return cleanText(error.message);
    throw error;
  }
}

/** Nodes that are online; one that has just come waits until it has heard of some that serve files. */
async function nodesThere(node: FetchingNode, signal: AbortSignal | undefined): Promise<Address[]> {
  for (let waitedMs = 0; waitedMs < HEAR_MS; waitedMs += LOOK_MS) {
    if (node.host.directory.entries().some(({ role }) => role === "host")) break;
    await systemClock.sleep(LOOK_MS, signal ?? new AbortController().signal);
  }
  return knownNodes(node).slice(0, MOST_NODES);
}

async function fromGateways(
  cid: string,
  file: string,
  why: string,
  { gateways, identity, ui }: CidPlaces,
  signal: AbortSignal | undefined,
): Promise<void> {
  const label = { downloading: "Fetching", checking: "Checking", decrypting: "Decrypting" };
  try {
    await downloadFile({
      cid,
      file,
      gateways: gateways(),
      overwrite: true,
      signal,
      ...(identity && { identity }),
      onProgress: ({ phase, doneBytes, totalBytes }) =>
        ui.progress(`${label[phase]} ${shortCid(cid)} from gateways`, doneBytes, totalBytes),
    });
    ui.event("fetched", { cid, from: "gateways" });
  } catch (cause) {
    if (!(cause instanceof StorageError) || !NOT_THERE.has(cause.code)) throw cause;
    throw new StorageError(
      cause.code as StorageErrorCode,
      `${cid} comes from nowhere. Nodes: ${why}. Gateways: ${cause.message}`,
      { cause, hint: "name a node that serves it with --from ADDRESS, or gateways in SKYNET_GATEWAYS" },
    );
  }
}

const progressOf = (ui: Pick<Ui, "progress">, label: string) => (done: number, total: number) =>
  ui.progress(label, done, total);
