// Files of IPFS in the block store of a folder.
import type { Command } from "commander";
import { SkyNetError } from "@skynet/protocol";
import { exportCar, exportFile, importCar, importFile, type DiskBlockStore } from "@skynet/storage";
import { filePin } from "../../runtime/blocks.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { formatBytes } from "../format.ts";
import { forceOption, type ForceOption } from "../options.ts";
import type { Ui } from "../ui.ts";
import { addStorageCommand, withStore, type StorageOptions } from "./storage-blocks.ts";

const PINS_AT_ONCE = 256;

interface AddOptions extends StorageOptions {
  readonly public?: true;
}

const publicOption = ["--public", "let every node fetch it from skynet host, by its CID"] as const;

/** `skynet storage add|get|export|import`. */
export function addStorageFiles(storage: Command): void {
  addStorageCommand(storage, "add", "add a file as IPFS does, print its CID and keep it", " data.csv --public")
    .argument("<file>", "file to add")
    .option(...publicOption)
    .action((file: string, options: AddOptions) =>
      withStore(options, (store, ui) => add(store, ui, file, options), { create: true }),
    );
  addStorageCommand(storage, "get", "write a file that is in the store", " bafybei... data.csv")
    .argument("<cid>", "its CID; for a file in a folder, the folder's CID and a path: bafy.../data/iris.csv")
    .argument("<file>", "file to write")
    .addOption(forceOption())
    .action((cid: string, file: string, { force: overwrite, ...options }: StorageOptions & ForceOption) =>
      withStore(options, async (store, ui) => {
        const signal = shutdownSignal();
        const onProgress = (done: number, total: number) => ui.progress("Writing", done, total);
        const bytes = await exportFile(store, cid, file, { overwrite, signal, onProgress });
        ui.line(`wrote ${file}, ${formatBytes(bytes)}`);
        return { cid, file, bytes };
      }),
    );
  addStorageCommand(
    storage,
    "export",
    "write all blocks behind a CID as a CAR file for other IPFS nodes",
    " bafybei... data.car",
  )
    .argument("<cid>", "CID of a file or a folder")
    .argument("<car>", "CAR file to write")
    .addOption(forceOption())
    .action((cid: string, file: string, { force: overwrite, ...options }: StorageOptions & ForceOption) =>
      withStore(options, async (store, ui) => {
        const onProgress = (bytes: number) => ui.status(`${formatBytes(bytes)} written`);
        const bytes = await exportCar(store, cid, file, { overwrite, signal: shutdownSignal(), onProgress });
        ui.line(`wrote ${file}, ${formatBytes(bytes)}`);
        return { cid, file, bytes };
      }),
    );
  addStorageCommand(storage, "import", "take the blocks of a CAR file, check each of them, and keep them", " data.car")
    .argument("<car>", "CAR file, version 1 or 2")
    .option(...publicOption)
    .action((file: string, options: AddOptions) =>
      withStore(options, (store, ui) => take(store, ui, file, options), { create: true }),
    );
}

/**
 * Pins blocks some at a time while they come in: a long import must not lose its beginning, nor one that is interrupted
 * and run again.
 */
async function keeping(
  store: DiskBlockStore,
  file: string,
  isPublic: boolean,
  take: (onBlock: (cid: string) => void, signal: AbortSignal) => Promise<readonly string[]>,
): Promise<number> {
  const signal = shutdownSignal();
  const draft = `draft:${file}`;
  const all = new Set<string>();
  let fresh: string[] = [];
  try {
    const roots = await take((cid) => {
      all.add(cid);
      if (fresh.push(cid) < PINS_AT_ONCE) return;
      store.pin(draft, fresh);
      fresh = [];
    }, signal);
    for (const root of roots) store.pin(filePin(root, isPublic), all);
    store.unpin(draft);
    return all.size;
  } catch (error) {
    if (!signal.aborted) store.unpin(draft);
    throw error;
  }
}

async function add(store: DiskBlockStore, ui: Ui, file: string, { public: isPublic }: AddOptions) {
  const onProgress = (done: number, total: number) => ui.progress("Adding", done, total);
  let cid = "";
  const blocks = await keeping(store, file, isPublic ?? false, async (onBlock, signal) => {
    cid = await importFile(store, file, { signal, onBlock, onProgress });
    return [cid];
  });
  ui.line(cid);
  return { cid, file, blocks };
}

async function take(store: DiskBlockStore, ui: Ui, file: string, { public: isPublic }: AddOptions) {
  const onProgress = (done: number, total: number) => ui.progress("Importing", done, total);
  let bytes = 0;
  let roots: readonly string[] = [];
  const blocks = await keeping(store, file, isPublic ?? false, async (onBlock, signal) => {
    ({ roots, bytes } = await importCar(store, file, { signal, onBlock, onProgress }));
    if (roots.length > 0) return roots;
    throw new SkyNetError("NoRoots", `${file} names no root`, {
      hint: "write the CAR with the CID of its content as root; its blocks are kept for an hour",
    });
  });
  for (const root of roots) ui.line(root);
  ui.line(`${blocks.toLocaleString("en")} blocks, ${formatBytes(bytes)}`);
  return { roots, file, blocks, bytes };
}
