import type { Hex } from "@skynet/protocol";
import { deadlineSignal } from "../timing/delay.ts";
import { NetworkError } from "../errors.ts";
import { frame } from "./framed-stream.ts";
import type { Host } from "./types.ts";
import { readWithin } from "../bulk/receive-updates.ts";
import { untilAborted } from "../timing/until-aborted.ts";

export interface AskOptions {
  /** Longest time until the answer, milliseconds. */
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends one request over a stream of its own and waits for the answer.
 * @throws NetworkError `Unreachable`, `Refused` when the peer does not serve the protocol, `Stalled` after the time,
 *   `TooLarge`, `Malformed`
 */
export async function ask(
  host: Host,
  peer: Hex,
  protocol: string,
  request: Uint8Array,
  options: AskOptions,
): Promise<Uint8Array> {
  const { timeoutMs, maxAnswerBytes } = options;
  const stopped = options.signal ? AbortSignal.any([host.signal, options.signal]) : host.signal;
  const late = () => new NetworkError("Stalled", `${peer} has not answered within ${timeoutMs / 1000} s`);
  const deadline = deadlineSignal(timeoutMs, late, stopped);
  try {
    const stream = frame(await host.openStream(peer, protocol, { signal: deadline.signal, timeoutMs }));
    try {
      await untilAborted(stream.write(request), deadline.signal);
      const answer = await untilAborted(stream.read(maxAnswerBytes), deadline.signal);
      if (answer === undefined) throw new NetworkError("Unreachable", `${peer} closed the stream without an answer`);
      await stream.close();
      return answer;
    } catch (error) {
      stream.abort(error instanceof Error ? error : new NetworkError("Unreachable", String(error)));
      throw error;
    }
  } finally {
    deadline.clear();
  }
}

export interface AnswerOptions {
  readonly maxRequestBytes: number;
  /** Longest silence of the peer before its request is complete, milliseconds. */
  readonly stallMs: number;
}

/**
 * Answers one request on each stream of a protocol. A handler that throws resets the stream.
 * @returns function that ends it and resets open streams
 */
export function answerRequests(
  host: Host,
  protocol: string,
  { maxRequestBytes, stallMs }: AnswerOptions,
  handler: (from: Hex, request: Uint8Array) => Promise<Uint8Array>,
): Promise<() => Promise<void>> {
  return host.serve(protocol, async (stream, from) => {
    const request = await readWithin(stream, maxRequestBytes, stallMs, host.signal);
    await stream.write(await handler(from, request));
  });
}
