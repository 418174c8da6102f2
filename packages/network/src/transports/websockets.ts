import { webSockets as libp2pWebSockets } from "@libp2p/websockets";
import { ipOf, type NetworkTransport } from "./transport.ts";

/** WebSockets: what browsers and strict proxies let through. Browsers dial, Node also listens. */
export function webSockets(): NetworkTransport {
  return {
    name: "websockets",
    protection: "host",
    listenAddress: (host, port) => `${ipOf(host)}/tcp/${port}/ws`,
    create: () => libp2pWebSockets(),
  };
}
