// What Node offers; package.json chooses between this file and browser.ts.
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";

/** Ways to reach other nodes, the preferred one first. */
export const transports = () => [tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } })];

export const encrypters = () => [noise()];
