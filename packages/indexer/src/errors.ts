import { SkyNetError } from "@skynet/protocol";

/** Something is wrong with an index, its chain, or what it was asked. */
export class IndexError extends SkyNetError {}
