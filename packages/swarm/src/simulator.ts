import { keccak256, SkyNetError, toHex } from "@skynet/protocol";
import type { Address, BlockPort, ChannelMessage, Clock, JobFiles, JobNetwork, SendOptions } from "./ports.ts";

/** Pause before a message that was lost is sent again. */
const RESEND_MS = 500;

/** Time that passes only when everybody waits: a run takes no longer than its arithmetic, and is repeatable. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #timers: { atMs: number; wake: () => void }[] = [];
  #running = true;

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal?.reason as Error);
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort, { once: true });
      this.#timers.push({ atMs: this.#nowMs + ms, wake: resolve });
    });
  }

  stop(): void {
    this.#running = false;
  }

  /** Moves the time from timer to timer until stopped. */
  async run(): Promise<void> {
    while (this.#running) {
      for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
      this.#timers.sort((a, b) => a.atMs - b.atMs);
      const next = this.#timers.shift();
      if (!next) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
    }
  }
}

/** What a simulated node may do wrong. */
export interface Faults {
  /** Share of relay messages that are lost, 0 to 1. */
  readonly loss?: number;
  /** Changes an update before it is sent. */
  readonly corrupt?: (bytes: Uint8Array) => Uint8Array;
  /** Nothing of this node reaches them. */
  readonly withholdFrom?: readonly Address[];
}

/** Nodes that reach each other without sockets; messages arrive after a moment, or are lost. */
export class SimulatedNetwork {
  readonly #nodes = new Map<Address, SimulatedNode>();
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  join(self: Address, faults: Faults = {}): { network: JobNetwork; blocks: BlockPort; leave(): void } {
    const node: SimulatedNode = { onMessage: undefined, onUpdate: undefined, blocks: new Map(), members: new Set() };
    this.#nodes.set(self, node);
    const blocks: BlockPort = {
      put: async (bytes) => {
        const cid = toHex(keccak256(bytes));
        node.blocks.set(cid, bytes);
        return cid;
      },
      get: async (cid) => node.blocks.get(cid),
    };
    return { blocks, network: this.#networkOf(self, node, faults), leave: () => this.#nodes.delete(self) };
  }

  /** As delivery does: again and again until it is handled, withdrawn, or too late. @returns whether it was handled */
  async #deliver(to: Address, message: ChannelMessage, loss: number, options: SendOptions): Promise<boolean> {
    const { deadlineMs, signal } = options;
    while (this.#clock.nowMs() < deadlineMs) {
      await this.#clock.sleep(1 + 20 * this.#random(), signal);
      const receiver = this.#nodes.get(to);
      if (receiver?.members.has(message.from) && receiver.onMessage && this.#random() >= loss) {
        await receiver.onMessage(message);
        return true;
      }
      await this.#clock.sleep(RESEND_MS, signal);
    }
    return false;
  }

  #networkOf(self: Address, node: SimulatedNode, { loss = 0, corrupt, withholdFrom = [] }: Faults): JobNetwork {
    const unreachable = () => new SkyNetError("Unreachable", "the node is gone");
    return {
      send: async (to, kind, body, options) => {
        const deliver = async (address: Address) => {
          if (withholdFrom.includes(address)) return [];
          const message = { kind, from: self, body };
          return (await this.#deliver(address, message, loss, options)) ? [address] : [];
        };
        return (await Promise.all(to.map(deliver))).flat();
      },
      onMessage: (handler) => {
        node.onMessage = handler;
      },
      sendUpdate: async (to, round, bytes, { deadlineMs, signal }) => {
        while (this.#clock.nowMs() < deadlineMs) {
          await this.#clock.sleep(10, signal);
          try {
            const receiver = this.#nodes.get(to)?.onUpdate;
            if (!receiver || withholdFrom.includes(to)) throw unreachable();
            await receiver(self, round, corrupt ? corrupt(bytes) : bytes);
            return new Uint8Array(1);
          } catch {
            await this.#clock.sleep(500, signal);
          }
        }
        throw new SkyNetError("NotDelivered", "the deadline passed");
      },
      onUpdate: (admit, handler) => {
        node.onUpdate = async (from, round, bytes) => {
          if (!node.members.has(from) || !admit(from, round)) throw new SkyNetError("Refused", "not admitted");
          await handler(from, round, bytes);
        };
      },
      fetchBlock: async (from, cid, signal) => {
        await this.#clock.sleep(10, signal);
        for (const peer of from) {
          const holder = this.#nodes.get(peer);
          const bytes = holder?.members.has(self) ? holder.blocks.get(cid) : undefined;
          if (bytes && toHex(keccak256(bytes)) === cid) return bytes;
        }
        throw unreachable();
      },
      follow: ({ members }) => {
        node.members = new Set(members);
      },
      traffic: () => ({ sentBytes: 0, receivedBytes: 0 }),
    };
  }
}

interface SimulatedNode {
  onMessage: ((message: ChannelMessage) => Promise<void>) | undefined;
  onUpdate: ((from: Address, round: number, bytes: Uint8Array) => Promise<void>) | undefined;
  readonly blocks: Map<string, Uint8Array>;
  /** Whom it hears and serves. */
  members: ReadonlySet<Address>;
}

/** Files in memory; keep the object to restart a node with its disk. */
export function memoryFiles(): JobFiles {
  const files = new Map<string, Uint8Array>();
  return {
    read: async (name) => files.get(name),
    write: async (name, bytes) => void files.set(name, bytes),
  };
}
