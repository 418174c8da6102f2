// Two nodes that send each other messages over lines that lose, double and reorder packets: real sockets.
import type { ChildProcess } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openLab, type Lab } from "../netlab/lab.ts";
import { bothWays, type Topology } from "../netlab/topology.ts";
import { countLostMessages } from "./acknowledged.ts";
import type { MessengerReport } from "./lab-messenger.ts";
import { createWallet, startLabRelay } from "./lab-relay.ts";

export const LOSSY_TRANSPORTS = ["tcp", "quic"] as const;
type LossyTransport = (typeof LOSSY_TRANSPORTS)[number];

export interface LossReport {
  readonly acknowledged: number;
  /** Acknowledged, and not among what the receiver handled. */
  readonly lost: number;
  /** Never acknowledged. */
  readonly waiting: number;
  /** Numbers of the messages that each node handled, in that order. */
  readonly handled: readonly (readonly number[])[];
  /** Packets to the two nodes that their lines lost. */
  readonly packetsLost: number;
}

export interface LossRun {
  /** Messages that each of the two nodes sends. */
  readonly each: number;
  readonly onProgress?: (handled: number) => void;
}

/** A fifth of all packets lost in each direction, one in twenty twice, one in ten late. */
const access = bothWays({ delayMs: 10, loss: 0.2, duplicate: 0.05, reorder: 0.1, mbitPerSecond: 100 });
const MESSENGER = path.join(import.meta.dirname, "lab-messenger.ts");
const NODES = ["alice", "bob"];
const PROGRESS_MS = 1000;

/** Machines for {@link sendOverLoss}: a relay with a good line and two nodes with bad ones, for each transport. */
export async function openLossyLab() {
  const hosts = LOSSY_TRANSPORTS.flatMap((transport) => [
    [`${transport}-relay`, {}],
    ...NODES.map((node) => [`${transport}-${node}`, { access }]),
  ]);
  const lab = await openLab({ hosts: Object.fromEntries(hosts) as Topology["hosts"] });
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-loss-"));
  return {
    send: (transport: LossyTransport, run: LossRun) => sendOverLoss(lab, folder, transport, run),
    async close() {
      await lab.close();
      await fs.rm(folder, { recursive: true, force: true });
    },
  };
}

/** What a messenger says at its end. */
function reportOf(messenger: ChildProcess): Promise<MessengerReport> {
  return new Promise((resolve, reject) => {
    messenger.on("message", (message: MessengerReport | { ready: true }) => "receipts" in message && resolve(message));
    messenger.once("exit", (code) => reject(new Error(`a messenger ended with code ${code}`)));
  });
}

/** The numbers of the messages that a node wrote down when it handled them. */
async function handledIn(place: string): Promise<number[]> {
  const text = await fs.readFile(path.join(place, "handled"), "utf8").catch(() => "");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => Number(line.split(" ")[1]));
}

async function sendOverLoss(
  lab: Lab,
  folder: string,
  transport: LossyTransport,
  { each, onProgress }: LossRun,
): Promise<LossReport> {
  const wallet = await createWallet(folder, `${transport}-relay`);
  const relay = await startLabRelay(lab, `${transport}-relay`, { folder, wallet, transport });
  const { multiaddrs } = (await relay.event("listening")) as { multiaddrs: string[] };
  const machines = NODES.map((node) => `${transport}-${node}`);
  const places = machines.map((machine) => path.join(folder, machine));
  const messengers = machines.map((machine, i) => {
    const args = [i + 1, lab.address(machine), multiaddrs[0]!, places[i]!, machines.length, each];
    return lab.fork(machine, MESSENGER, args.map(String));
  });
  const told = async () => onProgress?.((await Promise.all(places.map(handledIn))).flat().length);
  const timer = setInterval(() => void told(), PROGRESS_MS);
  try {
    const reports = await Promise.all(messengers.map(reportOf));
    const counts = await countLostMessages(reports.map((report, i) => ({ ...report, folder: places[i]! })));
    const lines = await Promise.all(machines.map((machine) => lab.count(machine)));
    const packetsLost = lines.reduce((sum, { down }) => sum + down.lost, 0);
    return { ...counts, handled: await Promise.all(places.map(handledIn)), packetsLost };
  } finally {
    clearInterval(timer);
    await relay.stop();
  }
}

/** @throws Error unless every message was handled once, in order, and acknowledged */
export function checkLoss({ acknowledged, lost, waiting, handled, packetsLost }: LossReport, each: number): void {
  const sums = JSON.stringify({ acknowledged, lost, waiting, packetsLost });
  if (acknowledged !== NODES.length * each || lost + waiting > 0 || packetsLost === 0) throw new Error(sums);
  for (const numbers of handled)
    if (numbers.length !== each || numbers.some((number, i) => number !== i + 1))
      throw new Error(`handled twice, not at all or not in order: ${sums}`);
}
