// What Node offers; package.json chooses between this file and browser.ts.
import { createHash, hash } from "node:crypto";
import { noise } from "@libp2p/noise";
import type { RunningHash } from "../bulk/running-hash.ts";
import { nativeTls } from "../node/native-tls.ts";
import { reasonOf } from "../errors.ts";
import type { Log } from "../host/log.ts";
import { circuit } from "../transports/circuit.ts";
import { tcp } from "../transports/tcp.ts";
import type { NetworkTransport } from "../transports/transport.ts";
import { webSockets } from "../transports/websockets.ts";

/** A transport with native code, left out on machines for which there is none. */
async function optional(name: string, load: () => Promise<NetworkTransport>, log: Log): Promise<NetworkTransport[]> {
  try {
    return [await load()];
  } catch (error) {
    log.info({ transport: name, error: reasonOf(error) }, "this machine has no native code for a transport");
    return [];
  }
}

async function loadWebRtc(): Promise<NetworkTransport> {
  await import("../node/hold-candidates.ts");
  return (await import("../transports/webrtc/webrtc.ts")).webRtc();
}

/** Ways to reach other nodes, the preferred one first. */
export async function transports(log: Log): Promise<NetworkTransport[]> {
  return [
    tcp(),
    ...(await optional("quic", async () => (await import("../transports/quic/quic.ts")).quic(), log)),
    webSockets(),
    ...(await optional("webrtc", loadWebRtc, log)),
    circuit(),
  ];
}

/** SHA-256 of bytes that arrive one after the other, by native code, while they are in the processor's cache. */
export const createSha256: (() => RunningHash) | undefined = () => {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
};

/** SHA-256. */
export const sha256Now = (bytes: Uint8Array): Uint8Array => new Uint8Array(hash("sha256", bytes, "buffer"));

/** TLS between Nodes: at twice the speed of Noise. */
export const encrypters = () => [nativeTls(), noise()];

export { createVerifier } from "../node/verify-signature.ts";
export { startStunServer } from "../node/stun/stun-server.ts";
export { keepPortMappings } from "../node/upnp/port-mappings.ts";
