// Messages over lines that lose a fifth of all packets in each direction, double and reorder others: real sockets.
import type { ChildProcess } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLab, whyNoLab, type Lab } from "./netlab/lab.ts";
import { bothWays, type Topology } from "./netlab/topology.ts";
import { countLostMessages } from "./support/acknowledged.ts";
import type { MessengerReport } from "./support/lab-messenger.ts";
import { createWallet, startLabRelay } from "./support/lab-relay.ts";

const missing = whyNoLab();
const MESSENGER = path.join(import.meta.dirname, "support", "lab-messenger.ts");
const MACHINES = ["alice", "bob"];
const EACH = 150;

const TRANSPORTS = ["tcp", "quic"] as const;

let lab: Lab;
let folder: string;

/** What a messenger says at its end. */
function reportOf(messenger: ChildProcess): Promise<MessengerReport> {
  return new Promise((resolve, reject) => {
    messenger.on("message", (message: MessengerReport | { ready: true }) => "receipts" in message && resolve(message));
    messenger.once("exit", (code) => reject(new Error(`a messenger ended with code ${code}`)));
  });
}

describe.skipIf(missing)(missing === undefined ? "a fifth of all packets lost" : `loss, skipped: ${missing}`, () => {
  beforeAll(async () => {
    const access = bothWays({ delayMs: 10, loss: 0.2, duplicate: 0.05, reorder: 0.1, mbitPerSecond: 100 });
    const hosts = TRANSPORTS.flatMap((transport) => [
      [`${transport}-relay`, {}],
      ...MACHINES.map((machine) => [`${transport}-${machine}`, { access }]),
    ]);
    lab = await openLab({ hosts: Object.fromEntries(hosts) as Topology["hosts"] });
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-loss-"));
  });
  afterAll(async () => {
    await lab?.close();
    if (folder) await fs.rm(folder, { recursive: true, force: true });
  }, 60_000);

  it.concurrent.each(TRANSPORTS)(
    "over %s every message arrives once, in order, and is acknowledged",
    async (transport) => {
      const wallet = await createWallet(folder, `${transport}-relay`);
      const relay = await startLabRelay(lab, `${transport}-relay`, { folder, wallet, transport });
      const { multiaddrs } = (await relay.event("listening")) as { multiaddrs: string[] };
      const machines = MACHINES.map((machine) => `${transport}-${machine}`);
      const messengers = machines.map((machine, i) => {
        const args = [i + 1, lab.address(machine), multiaddrs[0]!, path.join(folder, machine), machines.length, EACH];
        return lab.fork(machine, MESSENGER, args.map(String));
      });
      const reports = await Promise.all(messengers.map(reportOf));
      const places = machines.map((machine) => path.join(folder, machine));
      const found = await countLostMessages(reports.map((report, i) => ({ ...report, folder: places[i]! })));
      expect(found).toEqual({ acknowledged: 2 * EACH, lost: 0, waiting: 0 });
      const inOrder = Array.from({ length: EACH }, (_, i) => `${i + 1}`);
      for (const place of places) {
        const lines = (await fs.readFile(path.join(place, "handled"), "utf8")).trim().split("\n");
        expect(lines.map((line) => line.split(" ")[1])).toEqual(inOrder);
      }
      for (const machine of machines) expect((await lab.count(machine)).down.lost).toBeGreaterThan(0);
      await relay.stop();
    },
    400_000,
  );
});
