import type { Libp2pEvents, Listener, TypedEventTarget } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { hostOf, pathOf } from "../nat/addresses.ts";

/** What we use of libp2p's inner parts. */
interface Components {
  readonly addressManager: { confirmObservedAddr(address: Multiaddr, options: { type: "transport" }): void };
  readonly events: TypedEventTarget<Libp2pEvents>;
}

/**
 * Service that announces the public addresses of this machine's own interfaces. libp2p holds them back until other nodes
 * have dialled them (AutoNAT, which closes live relay connections and is off): a server would announce nothing.
 */
export function announceOwnAddresses({ addressManager, events }: Components): void {
  events.addEventListener("transport:listening", ({ detail: listener }: CustomEvent<Listener>) => {
    for (const address of listener.getAddrs())
      if (pathOf(address) === "direct" && hostOf(address) !== undefined)
        addressManager.confirmObservedAddr(address, { type: "transport" });
  });
}
