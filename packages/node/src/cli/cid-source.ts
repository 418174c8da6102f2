// Data by their CID, for commands without a node: one is opened when a CID asks for it.
import path from "node:path";
import { fromHex, SkyNetError, type Hex } from "@skynet/protocol";
import { createCidFetcher, type FetchCid } from "../data/fetch-cid.ts";
import { openGateways, tellRetries } from "../remote/services.ts";
import { openVisitingNode, type VisitingNode } from "../roles/visitor.ts";
import { openChain } from "../runtime/chain.ts";
import { registryRelays } from "../runtime/discovery.ts";
import { homeDir, ownFolders } from "../runtime/home.ts";
import { READER_KEY } from "./account.ts";
import { relaysOf, runningDevnet, type ConnectionOptions } from "./options.ts";
import type { Ui } from "./ui.ts";

export interface CidOptions extends Pick<ConnectionOptions, "rpc" | "relay"> {
  readonly from?: readonly Hex[];
}

export interface CidSource {
  readonly fetchCid: FetchCid;
  close(): Promise<void>;
}

/**
 * @param folder data folder whose blocks are looked at besides those of the home folder
 * @param identity opens files that `storage upload` has encrypted
 */
export function openCidSource(
  options: CidOptions & { readonly folder?: string; readonly identity?: () => Promise<string> },
  ui: Ui,
  signal: AbortSignal,
): CidSource {
  const { rpc = runningDevnet()?.rpcUrl, from, folder, identity } = options;
  let opened: Promise<VisitingNode | undefined> | undefined;
  const open = async () => {
    const relays = relaysOf(rpc, options.relay);
    // The chain only names more relays: data do not depend on it.
    const chain = rpc === undefined ? undefined : await openChain(rpc, fromHex(READER_KEY)).catch(() => undefined);
    const relaySources = chain === undefined ? [] : [registryRelays(chain)];
    if (relays.length > 0 || chain !== undefined)
      return openVisitingNode(path.join(homeDir(), "fetch"), { relays, relaySources, signal });
    if (from === undefined) return undefined;
    throw new SkyNetError("NoConnection", "no relay is given and no devnet runs here, so --from finds nobody", {
      hint: "name a relay with --relay or a chain that lists some with --rpc",
    });
  };
  return {
    fetchCid: createCidFetcher({
      folders: [...new Set([...(folder === undefined ? [] : [folder]), ...ownFolders()])],
      node: () => (opened ??= open()),
      from,
      gateways: () => openGateways(undefined, tellRetries(ui)),
      identity,
      ui,
    }),
    close: async () => (await opened?.catch(() => undefined))?.close(),
  };
}
