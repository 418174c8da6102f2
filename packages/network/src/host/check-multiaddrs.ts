import { multiaddr } from "@multiformats/multiaddr";
import { NetworkError } from "../errors.ts";

/** @throws NetworkError `BadOption` unless each is a multiaddr */
export function checkMultiaddrs(addresses: readonly string[]): void {
  for (const address of addresses) {
    try {
      multiaddr(address);
    } catch (cause) {
      throw new NetworkError("BadOption", `not a multiaddr: ${address}`, {
        cause,
        hint: "relay addresses look like /ip4/127.0.0.1/tcp/4000/p2p/16Uiu2...",
      });
    }
  }
}
