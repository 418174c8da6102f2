import type { Connection } from "@libp2p/interface";
import { NetworkError } from "../errors.ts";
import { frame, type FramedStream } from "../host/framed-stream.ts";
import { createPeerLimiter } from "../timing/token-bucket.ts";

/** Measures a connection: frames are thrown away and answered with one empty frame each. */
export const PROBE_PROTOCOL = "/skynet/probe/1";

const FRAME_BYTES = 256 * 1024;
const FRAMES = 16;
const WARM_UPS = 3;
const STALL_MS = 10_000;

/** What a connection is worth. */
export interface ProbeResult {
  /** Round trip, milliseconds: the best of some. */
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
}

/** @returns handler of the protocol; a peer may measure now and then, not load us */
export function answerProbes(clock: () => number): (stream: FramedStream, from: string) => Promise<void> {
  const mayProbe = createPeerLimiter({ perSecond: 0.1, burst: 6 }, clock);
  return async (stream, from) => {
    if (!mayProbe(from)) throw new NetworkError("Refused", "the peer measures too often");
    for (let i = 0; i < WARM_UPS + FRAMES && (await stream.read(FRAME_BYTES)) !== undefined; i++) await stream.write();
  };
}

/** Measures an open connection with 4 MiB. @throws NetworkError `Unreachable`, `Stalled` */
export async function probe(connection: Connection, signal: AbortSignal): Promise<ProbeResult> {
  const stream = await connection.newStream(PROBE_PROTOCOL, { signal, runOnLimitedConnection: true });
  const framed = frame(stream, { stallMs: STALL_MS });
  const abort = () => framed.abort(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  try {
    let latencyMs = Infinity;
    for (let i = 0; i < WARM_UPS; i++) {
      const startedMs = performance.now();
      await framed.write(new Uint8Array(1));
      await answered(framed);
      latencyMs = Math.min(latencyMs, performance.now() - startedMs);
    }
    const startedMs = performance.now();
    const writing = (async () => {
      for (let i = 0; i < FRAMES; i++) await framed.write(new Uint8Array(FRAME_BYTES));
    })();
    for (let i = 0; i < FRAMES; i++) await answered(framed);
    await writing;
    const seconds = (performance.now() - startedMs) / 1000;
    await framed.close();
    return { latencyMs, bytesPerSecond: (FRAMES * FRAME_BYTES) / seconds };
  } catch (error) {
    framed.abort(error as Error);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function answered(framed: FramedStream): Promise<void> {
  if ((await framed.read(0)) === undefined) throw new NetworkError("Unreachable", "the peer ended the measurement");
}
