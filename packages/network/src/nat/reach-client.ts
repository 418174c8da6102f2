import type { Connection } from "@libp2p/interface";
import { frame } from "../host/framed-stream.ts";
import { NetworkError } from "../errors.ts";
import {
  encodeReach,
  MAX_REACH_BYTES,
  parseDialBack,
  parseReachInfo,
  REACH_PROTOCOL,
  type ReachInfo,
  type ReachRequest,
} from "./reach-messages.ts";

const STALL_MS = 10_000;

async function ask(connection: Connection, request: ReachRequest, signal: AbortSignal): Promise<Uint8Array> {
  const stream = await connection.newStream(REACH_PROTOCOL, { signal });
  const framed = frame(stream, { stallMs: STALL_MS });
  try {
    await framed.write(encodeReach(request));
    const answer = await framed.read(MAX_REACH_BYTES);
    if (answer === undefined) throw new NetworkError("Unreachable", "the relay gave no answer");
    await framed.close();
    return answer;
  } catch (error) {
    framed.abort(error as Error);
    throw error;
  }
}

/** What a connected relay offers. @throws NetworkError `Malformed`, `Unreachable`; an error of libp2p if it is no relay */
export async function askInfo(connection: Connection, signal: AbortSignal): Promise<ReachInfo> {
  return parseReachInfo(await ask(connection, { t: "info" }, signal));
}

/** Which of our addresses a relay reaches, in the order of the question. */
export async function askDialBack(
  connection: Connection,
  multiaddrs: readonly string[],
  signal: AbortSignal,
): Promise<boolean[]> {
  return parseDialBack(await ask(connection, { t: "dialBack", multiaddrs: [...multiaddrs] }, signal)).reached;
}
