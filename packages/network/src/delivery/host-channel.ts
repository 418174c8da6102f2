import type { Hex } from "@skynet/protocol";
import type { Host } from "../host/types.ts";
import { publicKeyFromPeerId } from "../identity/identity.ts";
import { NetworkError } from "../errors.ts";
import type { MessageChannel } from "./channel.ts";

/** A host's relay messages, with what relays keep of them. */
export function hostChannel(host: Host): MessageChannel {
  return {
    publish: (topic, message, options) => host.publish(topic, message, options),
    subscribe: (topic, handler, options) => host.subscribe(topic, handler, options),
    catchUp: async (topic, range) => void (await host.history(topic, range)),
    onReconnect(listener) {
      let live = host.reachability().live;
      return host.onReachability((now) => {
        const again = live === 0 && now.live > 0;
        live = now.live;
        if (again) listener();
      });
    },
  };
}

/** Public key of a node from its presence: every multiaddr ends in the PeerId, which holds the key. */
export function publicKeyFrom(host: Pick<Host, "directory">) {
  return async (address: Hex, signal?: AbortSignal): Promise<Uint8Array> => {
    const { multiaddrs } = await host.directory.find(address, { signal });
    const peerId = multiaddrs[0]?.split("/p2p/").at(-1);
    if (peerId === undefined)
      throw new NetworkError("Unreachable", `${address} announces no address that tells its public key`, {
        hint: "give the option publicKey",
      });
    return publicKeyFromPeerId(peerId);
  };
}
