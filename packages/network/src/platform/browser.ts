// What a tab offers; package.json chooses between this file and node.ts.
import { noise } from "@libp2p/noise";
import { webSockets } from "@libp2p/websockets";

/** Ways to reach other nodes, the preferred one first. */
export const transports = () => [webSockets()];

export const encrypters = () => [noise()];
