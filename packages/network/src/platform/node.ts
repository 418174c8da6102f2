// What Node offers; package.json chooses between this file and browser.ts.
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import { nativeTls } from "../node/native-tls.ts";

/** Ways to reach other nodes, the preferred one first. */
export const transports = () => [tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } }), webSockets()];

/** TLS between Nodes: at twice the speed of Noise. */
export const encrypters = () => [nativeTls(), noise()];
