import { SkyNetError } from "@skynet/protocol";

/** An error about a node's key, told apart by `code`. */
export class WalletError extends SkyNetError {}
