// What a tab offers; package.json chooses between this file and node.ts.
import { noise } from "@libp2p/noise";
import { circuit } from "../transports/circuit.ts";
import type { NetworkTransport } from "../transports/transport.ts";
import { webRtc } from "../transports/webrtc/webrtc.ts";
import { webSockets } from "../transports/websockets.ts";

/** Ways to reach other nodes, the preferred one first. */
export const transports = async (): Promise<NetworkTransport[]> => [webSockets(), webRtc(), circuit()];

export const encrypters = () => [noise()];
