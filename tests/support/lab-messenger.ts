// A node that sends messages to the others all the time, on a machine of a network lab; it may be killed and started
// again. Arguments: its number, its address, a relay, a folder, how many nodes there are, and how many messages it sends
// (until it is told to end). Every message that it handles is a line of FOLDER/handled before it is acknowledged; its
// receipts are on disk, too.
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { createDelivery, createHost, createIdentity, hostChannel, verifyDeliveryReceipt } from "@skynet/network";
import { openSqliteDeliveryStore } from "@skynet/network/node";

export interface MessengerReport {
  readonly address: string;
  /** Messages that somebody acknowledged: receiver and number. */
  readonly receipts: readonly { readonly to: string; readonly seq: number }[];
  /** Messages that nobody has acknowledged in time. */
  readonly waiting: number;
}

/** Between messages, so that two cores are enough for churn. */
const PAUSE_MS = 200;
/** Without a receipt: for as long as told, and of a given number of messages, which are to arrive soon. */
const MOST_WAITING = { all: 16, counted: 256 };
const DRAIN_MS = 120_000;

const args = process.argv.slice(2) as [string, string, string, string, string, string?];
const [number, address, relay, folder, count, limit] = args;
const identityOf = (n: number) => createIdentity(new Uint8Array(32).fill(100 + n));
const identity = identityOf(Number(number));
const members = Array.from({ length: Number(count) }, (_, i) => identityOf(i + 1).address);
const others = members.filter((member) => member !== identity.address);
const groupKey = new Uint8Array(32).fill(7);

fs.mkdirSync(folder, { recursive: true });
const handled = fs.openSync(path.join(folder, "handled"), "a");
const host = await createHost({ identity, listen: [`/ip4/${address}/tcp/0`], relays: [relay] });
const store = openSqliteDeliveryStore(path.join(folder, "delivery.sqlite"));
const delivery = await createDelivery({ channel: hostChannel(host), identity, store, random: host.random });
const channel = delivery.join({
  job: "0x0c",
  topic: "job-0c",
  openingKeys: () => [groupKey],
  speakingKey: () => groupKey,
  isMember: (member) => members.includes(member),
  handler: ({ from, seq }) => void fs.writeSync(handled, `${from} ${seq}\n`),
});

const told = new AbortController();
process.once("disconnect", () => process.exit());
process.once("message", () => told.abort());
await host.connected({ signal: AbortSignal.timeout(180_000) });
process.send!({ ready: true });
const enough = () => (limit === undefined ? told.signal.aborted : sent === Number(limit));
const mostWaiting = limit === undefined ? MOST_WAITING.all : MOST_WAITING.counted;
let sent = 0;
while (!enough()) {
  if (delivery.counters().waiting < mostWaiting) {
    channel.send(others[sent % others.length]!, "lab", sent, { timeoutMs: DRAIN_MS * 10 }).catch(() => undefined);
    sent++;
    if (limit !== undefined) continue;
  }
  await delay(PAUSE_MS);
}
const untilMs = Date.now() + DRAIN_MS;
while (delivery.counters().waiting > 0 && Date.now() < untilMs) await delay(PAUSE_MS);
const receipts = (await delivery.receipts({ limit: Number.MAX_SAFE_INTEGER })).map(({ receipt }) => {
  verifyDeliveryReceipt(receipt);
  return { to: receipt.receiver, seq: receipt.seq };
});
const report: MessengerReport = { address: identity.address, receipts, waiting: delivery.counters().waiting };
process.send!(report);
