import { digestOfCid, equalBytes, sha256, type Hex } from "@skynet/protocol";
import type { Stream } from "@libp2p/interface";
import { BLOCK_PROTOCOL, MAX_BLOCK_BYTES, parseBlockAnswer } from "./block-messages.ts";
import type { ConnectOptions } from "../host/connect.ts";
import { deadlineSignal } from "../timing/delay.ts";
import { NetworkError } from "../errors.ts";
import { frame, type FramedStream } from "../host/framed-stream.ts";
import { untilAborted } from "../timing/until-aborted.ts";

export interface FetchBlockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Longest silence of the peer, milliseconds (30,000). */
  readonly timeoutMs?: number | undefined;
  readonly onProgress?: ((progress: { receivedBytes: number }) => void) | undefined;
}

/** Fetches blocks by hash; requests to one peer share a stream and are answered in order. */
export interface BlockClient {
  fetch(peer: Hex, cid: string, options?: FetchBlockOptions): Promise<Uint8Array>;
}

/** Requests in flight on one stream, oldest first. */
interface Session {
  readonly stream: FramedStream;
  readonly waiting: PromiseWithResolvers<Uint8Array>[];
  /** Answers so far; shows whether the peer makes progress. */
  answered: number;
  ended: boolean;
}

interface BlockClientOptions {
  readonly openStream: (peer: Hex, protocol: string, options: ConnectOptions) => Promise<Stream>;
  readonly signal: AbortSignal;
}

export function createBlockClient({ openStream, signal: stopped }: BlockClientOptions): BlockClient {
  const sessions = new Map<Hex, Promise<Session>>();

  const open = async (peer: Hex): Promise<Session> => {
    const deadline = deadlineSignal(15_000, () => new NetworkError("Unreachable", `${peer} does not answer`), stopped);
    try {
      const options = { signal: deadline.signal };
      const stream = frame(await openStream(peer, BLOCK_PROTOCOL, options));
      const session: Session = { stream, waiting: [], answered: 0, ended: false };
      void readAnswers(session, () => sessions.delete(peer));
      return session;
    } finally {
      deadline.clear();
    }
  };
  const sessionWith = async (peer: Hex): Promise<Session> => {
    let session = sessions.get(peer);
    if (session === undefined) {
      session = open(peer);
      sessions.set(peer, session);
      session.catch(() => sessions.delete(peer));
    }
    return session;
  };
  const request = async (peer: Hex, cid: string, options: FetchBlockOptions): Promise<Uint8Array> => {
    const { signal, timeoutMs = 30_000 } = options;
    const silent = () => new NetworkError("Stalled", `${peer} sent nothing for ${timeoutMs / 1000} s`);
    const reused = sessions.has(peer);
    try {
      return await exchange(await untilAborted(sessionWith(peer), signal), cid, timeoutMs, silent, signal);
    } catch (error) {
      // The peer may have ended the stream of earlier requests before this one reached it.
      if (!reused || !(error instanceof NetworkError) || error.code !== "Unreachable") throw error;
      return exchange(await untilAborted(sessionWith(peer), signal), cid, timeoutMs, silent, signal);
    }
  };
  return {
    async fetch(peer, cid, options = {}) {
      const digest = digestOfCid(cid);
      options.signal?.throwIfAborted();
      const bytes = parseBlockAnswer(await request(peer, cid, options), cid, peer);
      if (!equalBytes(await sha256(bytes), digest))
        throw new NetworkError("BadBlock", `${peer} sent other bytes than block ${cid}`, {
          hint: "fetch the block from another peer",
        });
      options.onProgress?.({ receivedBytes: bytes.length });
      return bytes;
    },
  };
}

/** Hands the answers to the requests, in order, until the stream ends. */
async function readAnswers(session: Session, forget: () => void): Promise<void> {
  let failure = new NetworkError("Unreachable", "the peer closed the stream");
  try {
    for (;;) {
      const answer = await session.stream.read(MAX_BLOCK_BYTES + 1);
      if (answer === undefined) break;
      const request = session.waiting.shift();
      if (request === undefined) throw new NetworkError("Malformed", "an answer without a request");
      session.answered += 1;
      request.resolve(answer);
    }
  } catch (error) {
    failure =
      error instanceof NetworkError ? error : new NetworkError("Unreachable", "the stream failed", { cause: error });
    session.stream.abort(failure);
  }
  session.ended = true;
  forget();
  for (const request of session.waiting.splice(0)) request.reject(failure);
}

async function exchange(
  session: Session,
  cid: string,
  timeoutMs: number,
  silent: () => NetworkError,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (session.ended) throw new NetworkError("Unreachable", "the peer closed the stream");
  const request = Promise.withResolvers<Uint8Array>();
  request.promise.catch(() => undefined); // The caller may have left when it fails.
  session.waiting.push(request);
  let answered = session.answered;
  const timer = setInterval(() => {
    if (session.answered === answered) session.stream.abort(silent());
    answered = session.answered;
  }, timeoutMs);
  try {
    await untilAborted(session.stream.write(new TextEncoder().encode(cid)), signal);
    return await untilAborted(request.promise, signal);
  } finally {
    clearInterval(timer);
  }
}
