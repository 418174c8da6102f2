import { tcp as libp2pTcp } from "@libp2p/tcp";
import { ipOf, type NetworkTransport } from "./transport.ts";

/** TCP: the fastest one wherever it gets through. Node only. */
export function tcp(): NetworkTransport {
  return {
    name: "tcp",
    protection: "host",
    listenAddress: (host, port) => `${ipOf(host)}/tcp/${port}`,
    create: () => libp2pTcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } }),
  };
}
