import { createIdentity } from "@skynet/network";
import { cidOf } from "@skynet/protocol";

export type Command =
  | { t: "start"; listen: string[]; relay?: string | undefined; relayService: boolean; ways: readonly string[] }
  | { t: "cpu" }
  | { t: "heard" }
  | { t: "forget" }
  | { t: "stop" };

export type Report =
  | { t: "ready"; multiaddrs: string[]; tlsPort: number }
  | { t: "cpu"; user: number; system: number }
  | { t: "heard"; delaysMs: number[]; lastMs: number };

export const TOPIC = "bench";
export const ASK_PROTOCOL = "/skynet/bench/1";
const BLOCKS = 16;
const BLOCK_BYTES = 4 * 1024 * 1024;
/** Bytes of the content: 67 MB. */
export const CONTENT_BYTES = BLOCKS * BLOCK_BYTES;
/** The limits on gossip would be what is measured. */
export const LIMITS = {
  messagesPerSecond: 1e6,
  bytesPerSecond: 1e9,
  messagesPerSecondOfAll: 1e6,
  bytesPerSecondOfAll: 1e9,
};

const nothing = () => undefined;
export const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

export const identityOf = (n: number) => createIdentity(new Uint8Array(32).fill(n));

/** Milliseconds since the epoch, finer than the clock's and the same in all processes of this machine. */
export const now = (): number => performance.timeOrigin + performance.now();

/** The content, the same in every process. */
export async function blocksOf() {
  const bytes = new Map<string, Uint8Array>();
  for (let i = 0; i < BLOCKS; i++) {
    const block = new Uint8Array(BLOCK_BYTES).fill(i + 1);
    bytes.set(await cidOf(block), block);
  }
  return { bytes, blocks: [...bytes.keys()].map((cid) => ({ cid, size: BLOCK_BYTES })) };
}
