// Nodes on a lossy bus that keep their stores when they are restarted.
import type { Hex } from "@skynet/protocol";
import { createDrops } from "../host/drops.ts";
import { createIdentity, type Identity } from "../identity/identity.ts";
import type { RandomNumber } from "../timing/delay.ts";
import { createDelivery, type Delivery, type DeliveryOptions, type JobChannel, type JoinOptions } from "./delivery.ts";
import type { DeliveredMessage } from "./intake.ts";
import { createMemoryStore } from "./memory-store.ts";
import type { DeliveryStore } from "./store.ts";
import type { Timers } from "./channel.ts";
import type { LossyBus, VirtualTimers } from "./testing-bus.ts";

export const JOB = "0x0a";
export const GROUP_KEY = new Uint8Array(32).fill(9);

/** A store that stops answering: what its node does after its death leaves no trace. */
function mortal(store: DeliveryStore): { store: DeliveryStore; die: () => void } {
  let dead = false;
  const proxy = new Proxy(store, {
    get: (target, name: keyof DeliveryStore) =>
      dead ? () => new Promise(() => undefined) : (target[name] as () => unknown).bind(target),
  });
  return { store: proxy, die: () => void (dead = true) };
}

export interface PeerOptions {
  readonly handler?: (message: DeliveredMessage, peer: Peer) => void | Promise<void>;
  readonly join?: Partial<JoinOptions>;
  readonly delivery?: Pick<DeliveryOptions, "maxSenders" | "retry">;
}

/** One node with a job's channel open. */
export class Peer {
  readonly identity: Identity;
  readonly handled: DeliveredMessage[] = [];
  readonly drops = createDrops();
  delivery!: Delivery;
  channel!: JobChannel;
  disk = createMemoryStore();
  /** How far the node's clock is off, milliseconds. */
  clockMs = 0;
  readonly #lives: Delivery[] = [];
  #kill: () => void = () => undefined;
  #reconnect: () => void = () => undefined;
  readonly #world: World;
  readonly #options: PeerOptions;

  constructor(n: number, world: World, options: PeerOptions) {
    this.identity = createIdentity(new Uint8Array(32).fill(n));
    this.#world = world;
    this.#options = options;
  }

  get address(): Hex {
    return this.identity.address;
  }

  async start({ clockMs = 0 } = {}): Promise<void> {
    this.clockMs = clockMs;
    const { bus, random } = this.#world;
    const { timers: world } = this.#world;
    const timers: Timers = {
      nowMs: () => world.nowMs() + this.clockMs,
      monotonicMs: () => world.monotonicMs(),
      after: (ms, callback) => world.after(ms, callback),
    };
    const channel = bus.join(this.address);
    const { store, die } = mortal(this.disk);
    let alive = true;
    this.#reconnect = channel.reconnect;
    const delivery = await createDelivery({
      channel,
      identity: this.identity,
      store,
      timers,
      random,
      drops: this.drops,
      ...this.#options.delivery,
    });
    const handler = async (message: DeliveredMessage) => {
      if (!alive) return;
      await this.#options.handler?.(message, this);
      if (alive) this.handled.push(message);
    };
    const isMember = () => true;
    const openingKeys = () => [GROUP_KEY];
    const speakingKey = () => GROUP_KEY;
    delivery.listen(handler);
    this.channel = delivery.join({
      job: JOB,
      topic: "job-0a",
      openingKeys,
      speakingKey,
      isMember,
      handler,
      ...this.#options.join,
    });
    this.delivery = delivery;
    this.#lives.push(delivery);
    this.#kill = () => {
      alive = false;
      die();
      channel.leave();
      void delivery.stop();
    };
  }

  /** Ends as a process does that is killed: nothing is written or said any more. */
  kill(): void {
    this.#kill();
  }

  /** Counters of all its lives. */
  totals(): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const life of this.#lives)
      for (const [name, value] of Object.entries(life.counters()))
        if (name !== "waiting") sums[name] = (sums[name] ?? 0) + Number(value);
    return sums;
  }

  reconnect(): void {
    this.#reconnect();
  }
}

export interface World {
  readonly bus: LossyBus;
  readonly timers: VirtualTimers;
  readonly random: RandomNumber;
}

export async function startPeer(n: number, world: World, options: PeerOptions = {}): Promise<Peer> {
  const peer = new Peer(n, world, options);
  await peer.start();
  return peer;
}

/** What a promise came to, for promises that end while the virtual time runs. */
export function watch<T>(promise: Promise<T>): { value?: T; error?: Error & { code?: string }; done: boolean } {
  const state: { value?: T; error?: Error; done: boolean } = { done: false };
  promise.then(
    (value) => Object.assign(state, { value, done: true }),
    (error: Error) => Object.assign(state, { error, done: true }),
  );
  return state;
}
