import { existsSync } from "node:fs";
import path from "node:path";
import { type Command, Option } from "commander";
import { SkyNetError } from "@skynet/protocol";
import type { DiskBlockStore, Pin } from "@skynet/storage";
import { blocksFolder, openNodeBlocks } from "../../runtime/blocks.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { formatBytes } from "../format.ts";
import { homeDir, jsonOption, quotaOption, withUi, type JsonOption } from "../options.ts";
import { tableText } from "../table.ts";
import type { Ui } from "../ui.ts";

export interface StorageOptions extends JsonOption {
  readonly data: string;
  readonly storageQuota?: number;
}

interface CollectOptions {
  readonly dryRun?: boolean;
  readonly now?: boolean;
}

/** `skynet storage show|pins|gc|verify`: the blocks that a node keeps on disk. */
export function addBlockStorage(storage: Command): void {
  addStorageCommand(storage, "show", "show what the blocks of a folder take, and how much may be removed").action(
    (options: StorageOptions) => withStore(options, show),
  );
  addStorageCommand(storage, "pins", "show what holds blocks, how much and since when")
    .option("--release <name>", "take a pin away: its blocks may be removed an hour after their last use")
    .action((options: StorageOptions & { release?: string }) =>
      withStore(options, async (store, ui) => {
        if (options.release !== undefined) release(store, options.release, ui);
        return pins(store, ui);
      }),
    );
  addStorageCommand(storage, "gc", "remove blocks that nothing holds and that were not used for an hour")
    .option(
      "--now",
      "also what was used within the last hour, such as the rest of work that failed; not while a node works",
    )
    .option("--dry-run", "only say what would be removed")
    .action((options: StorageOptions & CollectOptions) =>
      withStore(options, (store, ui) => collect(store, options, ui)),
    );
  addStorageCommand(
    storage,
    "verify",
    "read every block, and remove those that were damaged: they are fetched again when they are needed",
  ).action((options: StorageOptions) => withStore(options, verify));
}

/** A command on the blocks of a folder. */
export function addStorageCommand(storage: Command, name: string, description: string, example = ""): Command {
  return storage
    .command(name)
    .description(description)
    .addOption(new Option("--data <folder>", "data folder of a node").default(path.join(homeDir(), "host")))
    .addOption(quotaOption())
    .addOption(jsonOption())
    .addHelpText("after", `\nExample:\n  $ npx skynet storage ${name}${example || " --data .skynet/worker"}`);
}

/** @throws SkyNetError `NoBlocks` where no node has ever worked, unless `create` says that one may begin here */
export async function withStore(
  options: StorageOptions,
  action: (store: DiskBlockStore, ui: Ui) => Promise<unknown>,
  { create = false } = {},
): Promise<void> {
  const dataDir = path.resolve(options.data);
  if (!create && !existsSync(blocksFolder(dataDir)))
    throw new SkyNetError("NoBlocks", `there are no blocks in ${dataDir}`, {
      hint: "name the folder of a node with --data, such as the one that its worker or host uses",
    });
  const store = await openNodeBlocks(dataDir, { quotaBytes: options.storageQuota });
  try {
    await withUi(options, (ui) => action(store, ui));
  } finally {
    store.close();
  }
}

const blocksText = ({ blocks, bytes }: { blocks: number; bytes: number }): string =>
  `${blocks.toLocaleString("en")} blocks, ${formatBytes(bytes)}`;

async function show(store: DiskBlockStore, ui: Ui) {
  const stats = store.stats();
  const { quotaBytes, unpinned, collectable, bytes } = stats;
  const quota = quotaBytes === Infinity ? "no limit" : `of ${formatBytes(quotaBytes)} at most`;
  ui.line(`${blocksText(stats)} (${quota})`);
  ui.line(`${formatBytes(bytes - unpinned.bytes)} are held by ${store.pins().length} pins (npx skynet storage pins)`);
  ui.line(`${blocksText(collectable)} can be removed now (npx skynet storage gc)`);
  return { ...stats, quotaBytes: quotaBytes === Infinity ? null : quotaBytes };
}

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

async function pins(store: DiskBlockStore, ui: Ui): Promise<{ pins: Pin[] }> {
  const all = store.pins();
  const rows = all.map(({ name, named, blocks, bytes, usedMs }) => [
    name,
    named === blocks ? blocks.toLocaleString("en") : `${blocks.toLocaleString("en")} of ${named.toLocaleString("en")}`,
    formatBytes(bytes),
    day(usedMs),
  ]);
  ui.line(
    rows.length === 0 ? "nothing holds blocks here" : tableText(["pin", ">blocks", ">size", "last use (UTC)"], rows),
  );
  return { pins: all };
}

function release(store: DiskBlockStore, name: string, ui: Ui): void {
  if (!store.unpin(name))
    throw new SkyNetError("NoSuchPin", `there is no pin ${name}`, {
      hint: "npx skynet storage pins shows their names",
    });
  ui.line(`released ${name}`);
}

async function collect(store: DiskBlockStore, { dryRun = false, now = false }: CollectOptions, ui: Ui) {
  const graceMs = now ? 0 : undefined;
  const { bytes: total } = await store.gc({ dryRun: true, graceMs });
  const removed = await store.gc({
    dryRun,
    graceMs,
    signal: shutdownSignal(),
    onProgress: ({ bytes }) => ui.progress("Removing blocks", Math.min(bytes, total), total),
  });
  ui.line(`${dryRun ? "would remove" : "removed"} ${blocksText(removed)}`);
  return { dryRun, ...removed };
}

async function verify(store: DiskBlockStore, ui: Ui) {
  const { good, lost } = await store.verify({
    signal: shutdownSignal(),
    onProgress: (checked, all) => ui.progress("Reading blocks", checked.bytes, all.bytes),
  });
  ui.line(`${blocksText(good)} are whole`);
  for (const { cid, fault, pins: holders } of lost)
    ui.line(`${fault}: ${cid}${holders.length > 0 ? `, needed by ${holders.join(", ")}` : ""}`);
  if (lost.length > 0) process.exitCode = 1;
  return { good, lost };
}
