// Files of IPFS in the block store of a folder.
import type { Command } from "commander";
import { SkyNetError } from "@skynet/protocol";
import {
  exportCar,
  exportFile,
  importCar,
  importFile,
  StorageError,
  type BlockStore,
  type DiskBlockStore,
} from "@skynet/storage";
import { draftPin, filePin, withTold } from "../../runtime/blocks.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { formatBytes } from "../format.ts";
import { forceOption, type ForceOption } from "../options.ts";
import type { Ui } from "../ui.ts";
import { addStorageCommand, withStore, type StorageOptions } from "./storage-blocks.ts";

const PINS_AT_ONCE = 256;
/** Pins are made at least so often, in milliseconds: what no pin holds is removed after an hour. */
const PIN_MS = 5 * 60 * 1000;

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

interface Adding {
  /** The store, which is told what is put. */
  readonly blocks: BlockStore;
  readonly signal: AbortSignal;
}

/**
 * Pins blocks some at a time while they come in: a long import must not lose its beginning, nor one that is interrupted
 * and run again. One that fails leaves nothing that was not there before.
 * @returns how many blocks there are
 */
async function keeping(
  store: DiskBlockStore,
  file: string,
  isPublic: boolean,
  take: (adding: Adding) => Promise<readonly string[]>,
): Promise<number> {
  const signal = shutdownSignal();
  const draft = draftPin(file);
  const parts = { added: `${draft}/added`, known: `${draft}/known` };
  const all = new Set<string>();
  const open = { added: [] as string[], known: [] as string[] };
  let pinnedMs = performance.now();
  /** Both, so that neither lapses before the other. */
  const pin = () => {
    for (const part of ["added", "known"] as const) store.pin(parts[part], open[part].splice(0));
    pinnedMs = performance.now();
  };
  const blocks = withTold(store, (cid, isNew) => {
    all.add(cid);
    open[isNew ? "added" : "known"].push(cid);
    const waiting = open.added.length + open.known.length;
    if (waiting >= PINS_AT_ONCE || performance.now() - pinnedMs > PIN_MS) pin();
  });
  try {
    const roots = await take({ blocks, signal });
    for (const root of roots) store.pin(filePin(root, isPublic), all);
    store.unpin(draft);
    return all.size;
  } catch (error) {
    pin();
    // What was stopped, or is a part of content whose other parts are in other files, can be gone on with for an hour.
    if (signal.aborted) throw error;
    store.unpin(parts.known);
    if (error instanceof StorageError && error.code === "BlockMissing") store.unpin(draft);
    else await store.discard(draft);
    throw error;
  }
}

async function add(store: DiskBlockStore, ui: Ui, file: string, { public: isPublic }: AddOptions) {
  const onProgress = (done: number, total: number) => ui.progress("Adding", done, total);
  let cid = "";
  const count = await keeping(store, file, isPublic ?? false, async ({ blocks, signal }) => {
    cid = await importFile(blocks, file, { signal, onProgress });
    return [cid];
  });
  ui.line(cid);
  return { cid, file, blocks: count };
}

async function take(store: DiskBlockStore, ui: Ui, file: string, { public: isPublic }: AddOptions) {
  const onProgress = (done: number, total: number) => ui.progress("Importing", done, total);
  let bytes = 0;
  let roots: readonly string[] = [];
  const count = await keeping(store, file, isPublic ?? false, async ({ blocks, signal }) => {
    ({ roots, bytes } = await importCar(blocks, file, { signal, onProgress }));
    if (roots.length > 0) return roots;
    throw new SkyNetError("NoRoots", `${file} names no root`, {
      hint: "write the CAR with the CID of its content as root",
    });
  });
  for (const root of roots) ui.line(root);
  ui.note(`${count.toLocaleString("en")} blocks, ${formatBytes(bytes)}`);
  return { roots, file, blocks: count, bytes };
}
