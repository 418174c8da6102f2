// Whether what was acknowledged was also processed: the senders' receipts against what the receivers have on disk.
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { verifyReceipt } from "@skynet/network";
import type { MessengerReport } from "./lab-messenger.ts";

/** @param reports what each messenger has receipts for, and the folder with the list of what it handled */
export async function countLostMessages(reports: readonly (MessengerReport & { readonly folder: string })[]) {
  const handled = new Set<string>();
  for (const { address, folder } of reports) {
    const lines = (await fs.readFile(path.join(folder, "handled"), "utf8")).trim().split("\n");
    for (const line of lines) handled.add(`${line} ${address}`);
  }
  const acknowledged = reports.flatMap(({ address, receipts }) =>
    receipts.map(({ to, seq }) => `${address} ${seq} ${to}`),
  );
  const lost = acknowledged.filter((message) => !handled.has(message)).length;
  return { acknowledged: acknowledged.length, lost, waiting: reports.reduce((sum, { waiting }) => sum + waiting, 0) };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

/** Content that a node was seen to keep: its folder's name and the hash. */
type Kept = ReadonlySet<string>;

const LOOK_MS = 500;

/** Looks again and again at what nodes keep: they remove a job's updates when it is over. */
export function watchBlocks(folders: readonly string[]): { end(): Promise<Kept> } {
  const kept = new Set<string>();
  const known = new Set<string>();
  const look = async () => {
    for (const folder of folders)
      for (const file of await filesBelow(path.join(folder, "blocks"))) {
        if (known.has(file)) continue;
        const content = await fs.readFile(file).catch(() => undefined);
        if (content === undefined) continue;
        known.add(file);
        kept.add(`${path.basename(folder)} 0x${createHash("sha256").update(content).digest("hex")}`);
      }
  };
  const over = new AbortController();
  const looking = (async () => {
    while (!over.signal.aborted) {
      await look();
      await delay(LOOK_MS);
    }
  })();
  return {
    end: async () => {
      over.abort();
      await looking;
      await look();
      return kept;
    },
  };
}

/** Receipts for updates in the folders of nodes, and whether the receiver has kept the content that it signed for. */
export async function countLostUpdates(folders: readonly string[], kept: Kept) {
  const ownerOf = new Map<string, string>();
  const receipts: { receiver: string; hash: string }[] = [];
  for (const folder of folders)
    for (const file of await filesBelow(path.join(folder, "jobs"))) {
      if (!/^receipt-\d+-0x[0-9a-f]{40}\.cbor$/.test(path.basename(file))) continue;
      const receipt = verifyReceipt(await fs.readFile(file));
      ownerOf.set(receipt.sender, path.basename(folder));
      receipts.push(receipt);
    }
  const lost = receipts.filter(({ receiver, hash }) => !kept.has(`${ownerOf.get(receiver) ?? "requester"} ${hash}`));
  return { acknowledged: receipts.length, lost: lost.length };
}
