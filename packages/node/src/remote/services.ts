import process from "node:process";
import {
  createGateways,
  createIpfsNode,
  createLighthouse,
  createPinningService,
  StorageError,
  type Gateways,
  type HttpOptions,
  type IpfsNode,
  type Lighthouse,
  type PinningService,
} from "@skynet/storage";
import type { Ui } from "../cli/ui.ts";
import type { ServiceAccount } from "./service-keys.ts";

/** Addresses in the environment, for other regions of a service, and for tests. */
const variable = (name: string): string | undefined => process.env[name] || undefined;

export const lighthouseApi = () => {
  const apiBase = variable("SKYNET_LIGHTHOUSE_API");
  return apiBase === undefined ? {} : { apiBase };
};

export function openLighthouse({ key: apiKey }: ServiceAccount, http: HttpOptions): Lighthouse {
  const uploadBase = variable("SKYNET_LIGHTHOUSE_UPLOAD");
  return createLighthouse({ apiKey, http, ...lighthouseApi(), ...(uploadBase === undefined ? {} : { uploadBase }) });
}

/** @throws StorageError `NoApiKey` when nothing says where the service is */
export function openPinning({ key: token, url }: ServiceAccount, http: HttpOptions, named?: string): PinningService {
  const base = named ?? variable("SKYNET_PINNING_URL") ?? url;
  if (base === undefined)
    throw new StorageError("NoApiKey", "nothing says which pinning service is meant", {
      hint: "npx skynet storage login --service pinning --url ADDRESS (or set SKYNET_PINNING_URL)",
    });
  return createPinningService({ base, token, http });
}

/** Tells about requests that are tried again. */
export const tellRetries = (ui: Pick<Ui, "note" | "event">): HttpOptions => ({
  onRetry: ({ reason, waitMs }) => {
    ui.note(`${reason}; trying again in ${Math.max(1, Math.round(waitMs / 1000))} s`);
    ui.event("retry", { reason, waitMs: Math.round(waitMs) });
  },
});

export function openGateways(named: readonly string[] | undefined, http: HttpOptions): Gateways {
  const gateways = named ?? variable("SKYNET_GATEWAYS")?.split(",");
  return createGateways({ http, ...(gateways === undefined ? {} : { gateways }) });
}

export function openIpfsNode(named: string | undefined, http: HttpOptions): IpfsNode {
  const rpc = named ?? variable("SKYNET_IPFS_NODE");
  return createIpfsNode({ http, ...(rpc === undefined ? {} : { rpc }) });
}
