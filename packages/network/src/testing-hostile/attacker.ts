// The process that attacks. Arguments: relay, its other ports as JSON, number of the first attack, names. Ends the attacks on "stop", then says
// on "ask" which of the attackers the relay still takes.
import { attacks } from "./attacks.ts";
import { createPeer, type Ports, type Target } from "./client.ts";

const [relay, others, first, ...names] = process.argv.slice(2) as [string, string, string, ...string[]];
const ports = JSON.parse(others) as Ports;
const stopping = new AbortController();
const targets = names.map((_, i) => ({ relay, ports, number: Number(first) + i, signal: stopping.signal }));
// Whatever the relay does to it, an attacker goes on.
process.on("uncaughtException", () => undefined);
process.on("unhandledRejection", () => undefined);

/** A peer that is refused sees its connection closed before anything is negotiated on it. */
async function isWelcome(target: Target): Promise<boolean> {
  const over = new AbortController();
  try {
    const peer = await createPeer({ ...target, signal: over.signal });
    const connection = await peer.dial();
    const stream = await connection.newStream("/ipfs/ping/1.0.0", { signal: AbortSignal.timeout(3000) });
    return stream.status === "open";
  } catch {
    return false;
  } finally {
    over.abort();
  }
}

async function answer(command: string): Promise<void> {
  if (command === "stop") stopping.abort();
  if (command === "exit") process.exit(0);
  if (command === "ask") process.send!({ welcome: await Promise.all(targets.map(isWelcome)) });
}

process.on("message", (command: string) => void answer(command));
process.on("disconnect", () => process.exit(0));
process.send!({ started: true });
await Promise.all(targets.map((target, i) => attacks[names[i]!]!.run(target).catch(() => undefined)));
