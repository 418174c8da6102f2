import type { Connection } from "@libp2p/interface";
import { multiaddr, type Multiaddr } from "@multiformats/multiaddr";
import { frame } from "../host/framed-stream.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import { createPeerLimiter } from "../timing/token-bucket.ts";
import { hostOf, pathOf } from "./addresses.ts";
import { encodeReach, MAX_REACH_BYTES, parseReachRequest, REACH_PROTOCOL, type ReachInfo } from "./reach-messages.ts";

const DIAL_BACK_MS = 4000;
const STALL_MS = 5000;

/**
 * Serves a relay's knowledge of how nodes reach it. Addresses are tried only on the host that the question comes from,
 * and rarely, so that nobody can use the relay to knock at others.
 */
export async function serveReach(node: BaseNode, info: ReachInfo, clock: () => number): Promise<void> {
  const mayAsk = createPeerLimiter({ perSecond: 1, burst: 8 }, clock);
  const mayDial = createPeerLimiter({ perSecond: 1 / 30, burst: 4 }, clock);
  await node.handle(
    REACH_PROTOCOL,
    async (stream, connection) => {
      const framed = frame(stream, { stallMs: STALL_MS });
      const peer = connection.remotePeer.toString();
      try {
        const bytes = await framed.read(MAX_REACH_BYTES);
        if (bytes === undefined || !mayAsk(peer)) throw new Error("asked too often");
        const request = parseReachRequest(bytes);
        if (request.t === "info") await framed.write(encodeReach(info));
        else {
          if (!mayDial(peer)) throw new Error("asked too often");
          const reached = await Promise.all(request.multiaddrs.map((text) => dialBack(node, connection, text)));
          await framed.write(encodeReach({ reached }));
        }
        await framed.close();
      } catch (error) {
        framed.abort(error as Error);
      }
    },
    { maxInboundStreams: 8 },
  );
}

/** Whether the peer answers at an address of the host from which it is connected. */
async function dialBack(node: BaseNode, connection: Connection, text: string): Promise<boolean> {
  let address: Multiaddr;
  try {
    address = multiaddr(text);
  } catch {
    return false;
  }
  const owner = address.getComponents().at(-1)?.value;
  const same = hostOf(address) !== undefined && hostOf(address) === hostOf(connection.remoteAddr);
  if (!same || pathOf(address) !== "direct" || owner !== connection.remotePeer.toString()) return false;
  try {
    const back = await node.services.dialler.dial(address, { signal: AbortSignal.timeout(DIAL_BACK_MS) });
    await back.close();
    return true;
  } catch {
    return false;
  }
}
