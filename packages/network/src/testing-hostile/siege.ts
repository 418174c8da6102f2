// A relay, two honest nodes and attackers: what the attacks do to the honest traffic and to the relay's memory.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import os from "node:os";
import path from "node:path";
import type { DropReason } from "../host/drops.ts";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import { limitsOf, memoryBound, type Limits } from "../limits/limits.ts";
import type { PeerScore } from "../limits/scores.ts";
import { identityOf } from "../testing.ts";
import type { ServiceRates } from "../waku/services.ts";
import { attacks, type Outcome } from "./attacks.ts";
import { attackerId, type Ports } from "./client.ts";

/** What the relay says of itself. */
export interface RelayReport {
  readonly rssBytes: number;
  readonly peakBytes: number;
  /** Exceptions and rejections that nobody handled. */
  readonly failures: readonly string[];
  readonly dropped: Partial<Record<DropReason, number>>;
  readonly scores: readonly PeerScore[];
  readonly peers: number;
  /** Protocols that it serves, and what it holds open. */
  readonly protocols: readonly string[];
  readonly streams: number;
  readonly sockets: number;
}

/** What one attack, or several at a time, did. */
export interface SiegeResult {
  readonly attacks: readonly string[];
  /** Honest messages sent while it lasted, and how many of them arrived. */
  readonly sent: number;
  readonly delivered: number;
  /** How many arrived within two seconds of the time at which they were due to be sent. */
  readonly inTime: number;
  /** Messages that arrived while it lasted, per second of it: what arrives afterwards does not count. */
  readonly rate: number;
  /** Whether the relay still took the author of each attack afterwards. */
  readonly welcome: Readonly<Record<string, boolean>>;
  readonly relay: RelayReport;
}

/** The relay hears it too, so it sees what is said again. */
const HONEST_TOPIC = "siege";
/** Pause between honest messages, milliseconds. */
const PACE_MS = 20;
/** An honest message that takes longer is late: a relay that keeps less than its rate falls behind ever more. */
const IN_TIME_MS = 2000;
/** An honest message may take so long. */
const LATE_MS = 20_000;
const LEAST_ATTACK_MS = 3000;

/** An attacker does its worst for this long at most; one that is banned ends earlier. */
interface SiegeOptions {
  readonly attackMs?: number;
  readonly limits?: Partial<Limits>;
  readonly serviceRates?: Partial<ServiceRates>;
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function ask<T>(child: ChildProcess, command: string): Promise<T> {
  const answer = once(child, "message");
  child.send(command);
  return (await answer)[0] as T;
}

function start(file: string, ...args: string[]): ChildProcess {
  return fork(path.join(import.meta.dirname, file), args, {
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
}

/** Honest messages: how many were sent, how many arrived, in time or later, and how many arrived per second. */
type Exchange = Pick<SiegeResult, "sent" | "delivered" | "inTime" | "rate">;

/** A relay under siege. */
export interface Siege {
  readonly relay: string;
  /** Most memory that the relay may take, bytes. */
  readonly boundBytes: number;
  /** Honest traffic alone for a while. */
  calm(ms: number): Promise<Exchange>;
  /** Honest traffic while the attacks run side by side. */
  attack(...names: string[]): Promise<SiegeResult>;
  /** Whether a node that comes now is served. */
  servesNewcomers(): Promise<boolean>;
  report(): Promise<RelayReport>;
  stop(): Promise<void>;
}

export const attackNames = (): string[] => Object.keys(attacks);
export const outcomeOf = (name: string): Outcome => attacks[name]!.outcome;

export async function startSiege(options: SiegeOptions = {}): Promise<Siege> {
  const { attackMs = 15_000, limits = {}, serviceRates = {} } = options;
  const relay = start("relay.ts", JSON.stringify({ limits, services: { rates: serviceRates } }));
  const [{ multiaddr, ports }] = (await once(relay, "message")) as [{ multiaddr: string; ports: Ports }];
  const join = async (n: number) => {
    const host = await createHost({ identity: identityOf(n), relays: [multiaddr] });
    await host.connected({ signal: AbortSignal.timeout(30_000) });
    return host;
  };
  const [alice, bob] = (await Promise.all([join(1), join(2)])) as [Host, Host];
  const children: ChildProcess[] = [relay];
  const report = () => ask<RelayReport>(relay, "report");
  let attackNumber = 0;
  const untilBanned = async (attackers: readonly string[]) => {
    for (const endMs = Date.now() + attackMs; Date.now() < endMs; await sleep(300)) {
      const { scores } = await report();
      const banned = new Set(scores.flatMap(({ peerId, bannedUntilMs }) => (bannedUntilMs ? peerId : [])));
      if (attackers.every((peerId) => banned.has(peerId))) return;
    }
  };

  return {
    relay: multiaddr,
    boundBytes: memoryBound(limitsOf(true, limits)),
    calm: (ms) => exchange(alice, bob, sleep(ms)),
    async attack(...names) {
      const first = attackNumber;
      attackNumber += names.length;
      const attacker = start("attacker.ts", multiaddr, JSON.stringify(ports), String(first), ...names);
      children.push(attacker);
      // It has computers of its own elsewhere: what it takes of this one's time is no harm that it does to the relay.
      os.setPriority(attacker.pid!, os.constants.priority.PRIORITY_LOW);
      await once(attacker, "message");
      const wanted = names.flatMap((name, i) => (outcomeOf(name) === "banned" ? attackerId(first + i) : []));
      const traffic = await exchange(alice, bob, Promise.all([sleep(LEAST_ATTACK_MS), untilBanned(wanted)]));
      attacker.send("stop");
      const { welcome } = await ask<{ welcome: boolean[] }>(attacker, "ask");
      attacker.send("exit");
      const taken = Object.fromEntries(names.map((name, i) => [name, welcome[i]!]));
      return { attacks: names, ...traffic, welcome: taken, relay: await report() };
    },
    async servesNewcomers() {
      const carol = await createHost({ identity: identityOf(3), relays: [multiaddr] });
      try {
        await carol.connected({ signal: AbortSignal.timeout(30_000) });
        const { sent, delivered } = await exchange(carol, bob, sleep(500));
        return delivered === sent;
      } finally {
        await carol.stop();
      }
    },
    report,
    async stop() {
      await Promise.all([alice.stop(), bob.stop()]);
      const exited = once(relay, "exit");
      relay.send("stop");
      await exited;
      for (const child of children) child.kill("SIGKILL");
    },
  };
}

let exchanges = 0;

/**
 * One sends by the clock until `over`, whatever becomes of the messages: who falls behind catches up. Counts what the
 * other got until then, and in all, with time for the last ones.
 */
async function exchange(from: Host, to: Host, over: Promise<unknown>): Promise<Exchange> {
  const exchange = exchanges++;
  const startedMs = Date.now();
  const got = { all: 0, inTime: 0 };
  const end = to.subscribe(HONEST_TOPIC, ({ kind, body }) => {
    if (kind !== `honest-${exchange}`) return;
    got.all++;
    if (Date.now() - startedMs - Number(body) * PACE_MS <= IN_TIME_MS) got.inTime++;
  });
  const ended = new AbortController();
  void over.then(() => ended.abort());
  let sent = 0;
  while (!ended.signal.aborted) {
    for (const due = (Date.now() - startedMs) / PACE_MS; sent <= due; sent++)
      await from.publish(HONEST_TOPIC, { kind: `honest-${exchange}`, job: null, body: sent });
    await sleep(PACE_MS);
  }
  const rate = (1000 * got.all) / (Date.now() - startedMs);
  for (const lateMs = Date.now() + LATE_MS; got.all < sent && Date.now() < lateMs;) await sleep(50);
  end();
  return { sent, delivered: got.all, inTime: got.inTime, rate };
}

/** The part of their rate that honest messages must keep under any attack. */
export const LEAST_RATE_RATIO = 0.8;

/** The worst of some runs of an attack. */
export interface AttackResult {
  /** Rate of honest messages to the rate before the attack. */
  readonly rateRatio: number;
  /** Part of the honest messages that arrived. */
  readonly delivered: number;
  /** Whether the author was refused in the end, each time. */
  readonly refused: boolean;
}

/** Whether an attack did what it must not. */
export const harmOf = ({ rateRatio, delivered, refused }: AttackResult, outcome: Outcome): boolean =>
  !(rateRatio >= LEAST_RATE_RATIO && delivered >= LEAST_RATE_RATIO) || (outcome === "banned" && !refused);

/**
 * All attacks one at a time, `count` times over, against a relay with the limits that relays have.
 * @returns for each attack the worst ratio of the rate of honest messages to the rate before it, the part of them that
 *   arrived, whether its author was refused in the end, and the relay's memory
 * @throws Error when the relay fails or takes more memory than stated; in the end also when honest messages kept less
 *   than 80 % of their rate, or when an author was not refused that must be
 */
export async function besiege({ count, onProgress }: { count: number; onProgress?: (done: number) => void }) {
  const names = attackNames();
  const siege = await startSiege({ attackMs: 40_000 });
  const results: Record<string, AttackResult> = {};
  try {
    for (let round = 0; round < count; round++)
      for (const name of names) {
        const calm = await siege.calm(2000);
        const { sent, delivered, rate, welcome, relay } = await siege.attack(name);
        if (relay.failures.length > 0 || relay.peakBytes > siege.boundBytes)
          throw new Error(`${name}: ${relay.peakBytes} bytes, ${relay.failures.join("\n")}`);
        const rateRatio = Math.min(results[name]?.rateRatio ?? Infinity, Number((rate / calm.rate).toFixed(2)));
        const refused = !welcome[name] && results[name]?.refused !== false;
        const part = Math.min(results[name]?.delivered ?? 1, Number((delivered / sent).toFixed(3)));
        results[name] = { rateRatio, delivered: part, refused };
        onProgress?.(round);
      }
    const { peakBytes } = await siege.report();
    const harmed = names.filter((name) => harmOf(results[name]!, outcomeOf(name)));
    if (harmed.length > 0)
      throw new Error(`not held: ${JSON.stringify(Object.fromEntries(harmed.map((name) => [name, results[name]])))}`);
    const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
    return { results, peakMiB: mib(peakBytes), boundMiB: mib(siege.boundBytes) };
  } finally {
    await siege.stop();
  }
}
