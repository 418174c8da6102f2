// A node in a process of its own, driven by processes.test.ts over the IPC channel. Arguments: role, number, relay.
import { fromHex } from "@skynet/protocol";
import { createHost } from "./host/host.ts";
import { receiveUpdates } from "./bulk/receive-updates.ts";
import { reasonOf, NetworkError } from "./errors.ts";
import { sendUpdate } from "./bulk/send-update.ts";
import { identityOf } from "./testing.ts";

const [role, number, relay] = process.argv.slice(2) as [string, string, string | undefined];
const ASSIGNED = [1, 2, 3];
const addresses = ASSIGNED.map((n) => identityOf(n).address);
const groupKey = fromHex(`0x${"0a".repeat(32)}`);
const say = (message: object) => process.send!(message);

const host = await createHost({
  identity: identityOf(Number(number)),
  relayService: role === "relay",
  relays: relay === undefined ? [] : [relay],
});

async function train(): Promise<void> {
  const content = new Uint8Array(1_500_000).fill(Number(number));
  const others = addresses.filter((address) => address !== host.identity.address);
  const id = { job: "0x0a", round: 1, kind: "weights" };
  const options = { deadlineMs: Date.now() + (role === "worker" ? 30_000 : 5000) };
  const sent = await Promise.allSettled(others.map((to) => sendUpdate(host, to, id, content, options)));
  say({
    receipts: sent.filter(({ status }) => status === "fulfilled").length,
    failures: sent.flatMap((it) => (it.status === "rejected" ? (it.reason as NetworkError).code : [])),
    causes: sent.flatMap((it) => (it.status === "rejected" ? reasonOf((it.reason as NetworkError).cause) : [])),
  });
  const key = role === "worker" ? { groupKey } : {};
  await host.publish("job-0a", { kind: "done", job: "0x0a", body: Number(number) }, key);
}

let received = 0;
const done: number[] = [];
const groupKeys = () => (role === "worker" ? [groupKey] : [new Uint8Array(32)]);
host.subscribe("job-0a", ({ body }) => void done.push(Number(body)), { groupKey: groupKeys });
const admit = (peer: string) => addresses.some((address) => address === peer);
await receiveUpdates(host, { admit, maxBytes: 2 ** 22, onUpdate: () => ({ ok: ++received > 0 }) as { ok: true } });
if (relay !== undefined) await host.connected({ signal: AbortSignal.timeout(20_000) });

process.on("message", (command: string) => {
  if (command === "train") void train();
  if (command === "report") say({ received, done: done.toSorted(), dropped: host.traffic().dropped });
  if (command === "stop") void host.stop().then(() => process.disconnect());
});
say({ multiaddrs: host.multiaddrs() });
