import { createHost, createIdentity, type Host } from "@skynet/network";
import { openLog } from "../runtime/log.ts";

/** A node that carries everybody's messages. */
export function startRelay(options: { privateKey: Uint8Array; listen: string[]; dataDir: string }): Promise<Host> {
  return createHost({
    identity: createIdentity(options.privateKey),
    listen: options.listen,
    relays: [],
    relayService: true,
    log: openLog(options.dataDir, "relay"),
  });
}
