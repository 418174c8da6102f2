// What a tab offers; package.json chooses between this file and node.ts.
import { noise } from "@libp2p/noise";
import type { RunningHash } from "../bulk/running-hash.ts";
import { NetworkError } from "../errors.ts";
import { circuit } from "../transports/circuit.ts";
import type { NetworkTransport } from "../transports/transport.ts";
import { webRtc } from "../transports/webrtc/webrtc.ts";
import { webSockets } from "../transports/websockets.ts";

/** Ways to reach other nodes, the preferred one first. */
export const transports = async (): Promise<NetworkTransport[]> => [webSockets(), webRtc(), circuit()];

export const encrypters = () => [noise()];

/** A tab hashes natively only what is there as a whole. */
export const createSha256: (() => RunningHash) | undefined = undefined;

/** SHA-256, where there is no time to wait for the native one. */
export { sha256 as sha256Now } from "@noble/hashes/sha2.js";
export { createPortableVerifier as createVerifier } from "../identity/verify-signature.ts";

/** @throws NetworkError `BadOption`: a tab has no UDP sockets */
export function startStunServer(): never {
  throw new NetworkError("BadOption", "a browser cannot serve STUN", { hint: "run a relay in Node" });
}

/** A tab listens on no port. */
export const keepPortMappings = () => async (): Promise<void> => undefined;
