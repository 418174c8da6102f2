// A stock light node in a page.
import { startLightNode } from "./light-node.mjs";

globalThis.startLightNode = startLightNode;
