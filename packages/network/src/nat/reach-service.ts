import type { Connection } from "@libp2p/interface";
import { multiaddr, type Multiaddr } from "@multiformats/multiaddr";
import { frame } from "../host/framed-stream.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import { addressGroup } from "../limits/address.ts";
import { delay } from "../timing/delay.ts";
import { createPeerLimiter } from "../timing/token-bucket.ts";
import type { Scope } from "../ip/scope.ts";
import { hostOf, pathOf, scopeOf } from "./addresses.ts";
import { encodeReach, MAX_REACH_BYTES, parseReachRequest, REACH_PROTOCOL, type ReachInfo } from "./reach-messages.ts";

const DIAL_BACK_MS = 4000;
/** Every answer about addresses takes this long, so that it does not tell how a port behaves. */
const ANSWER_MS = DIAL_BACK_MS + 1000;
const STALL_MS = 5000;

interface ReachServiceOptions {
  readonly info: ReachInfo;
  /** Where to dial back. Behind a proxy, everybody seems to be on this machine or in its network. */
  readonly dialBackTo: readonly Scope[];
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly signal: AbortSignal;
}

/**
 * Serves a relay's knowledge of how nodes reach it. Addresses are tried only on the host that the question comes from,
 * and rarely, so that nobody can use the relay to knock at others.
 */
export async function serveReach(node: BaseNode, options: ReachServiceOptions): Promise<void> {
  const { info, monotonic: clock, signal } = options;
  const mayAsk = createPeerLimiter({ perSecond: 1, burst: 8 }, clock);
  const mayDial = createPeerLimiter({ perSecond: 1 / 30, burst: 4 }, clock);
  // Identities cost nothing; a household or an office shares an address.
  const mayDialGroup = createPeerLimiter({ perSecond: 1 / 10, burst: 16 }, clock);
  const answer = async (connection: Connection, multiaddrs: readonly string[]) => {
    const group = addressGroup(connection.remoteAddr)?.key ?? "";
    if (!mayDial(connection.remotePeer.toString()) || !mayDialGroup(group)) throw new Error("asked too often");
    const dialling = multiaddrs.map((text) => dialBack(node, connection, { text, ...options }));
    const [reached] = await Promise.all([Promise.all(dialling), delay(ANSWER_MS, signal)]);
    return { reached };
  };
  await node.handle(
    REACH_PROTOCOL,
    async (stream, connection) => {
      const framed = frame(stream, { stallMs: STALL_MS });
      try {
        const bytes = await framed.read(MAX_REACH_BYTES);
        if (bytes === undefined || !mayAsk(connection.remotePeer.toString())) throw new Error("asked too often");
        const request = parseReachRequest(bytes);
        await framed.write(encodeReach(request.t === "info" ? info : await answer(connection, request.multiaddrs)));
        await framed.close();
      } catch (error) {
        framed.abort(error as Error);
      }
    },
    { maxInboundStreams: 8 },
  );
}

/** Whether the peer answers at an address of the host from which it is connected. */
async function dialBack(
  node: BaseNode,
  { remoteAddr, remotePeer }: Connection,
  { text, dialBackTo }: { readonly text: string; readonly dialBackTo: readonly Scope[] },
): Promise<boolean> {
  let address: Multiaddr;
  try {
    address = multiaddr(text);
  } catch {
    return false;
  }
  const host = hostOf(address);
  const same = host !== undefined && host === hostOf(remoteAddr);
  const owner = address.getComponents().at(-1)?.value === remotePeer.toString();
  if (!same || !owner || ![address, remoteAddr].every((it) => pathOf(it) === "direct")) return false;
  if (!dialBackTo.includes(scopeOf(address))) return false;
  // A proxy with our own public address in front of us.
  if (scopeOf(address) === "public" && node.getMultiaddrs().some((own) => hostOf(own) === host)) return false;
  try {
    const back = await node.services.dialler.dial(address, { signal: AbortSignal.timeout(DIAL_BACK_MS) });
    back.close().catch((error: Error) => back.abort(error));
    return true;
  } catch {
    return false;
  }
}
