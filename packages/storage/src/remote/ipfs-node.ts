import { z } from "zod";
import { addFile } from "./add-file.ts";
import { baseUrl, createHttp, exchange, readJson, type HttpOptions } from "./http.ts";
import type { PartTarget } from "./upload.ts";

/** Where the IPFS daemon (Kubo) takes commands unless it was told otherwise. */
export const IPFS_NODE = "http://127.0.0.1:5001";
const MAX_ANSWER_BYTES = 1024 * 1024;

/** The user's own IPFS daemon: pinning services fetch from it. */
export interface IpfsNode {
  /** Takes the parts of `uploadFile`. */
  readonly target: PartTarget;
  /** Multiaddrs that others can reach it at, with its PeerId. */
  addresses(signal?: AbortSignal): Promise<string[]>;
  /** Connects to another node; a service finds the content sooner then. @throws StorageError `ServiceFailed` */
  connect(address: string, signal?: AbortSignal): Promise<void>;
}

const idSchema = z.object({ ID: z.string(), Addresses: z.array(z.string()).nullish() });

/** Of 10.0.0.0/8, 127.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, and the local ones of IPv6: of no use to a service. */
const LOCAL = /^\/(ip4\/(10|127|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\.|ip6\/(::1|f[cd]|fe80))/;

/**
 * Client of the RPC interface of Kubo (docs.ipfs.tech/reference/kubo/rpc: add, id, swarm/connect).
 * @throws InvalidInputError `BadUrl`
 */
export function createIpfsNode(options: { readonly rpc?: string; readonly http?: HttpOptions } = {}): IpfsNode {
  const base = baseUrl(options.rpc ?? IPFS_NODE, "the IPFS node");
  const http = createHttp({ attempts: 3, ...options.http });
  const call = { method: "POST" as const, failure: "ServiceFailed" as const };
  return {
    target: { id: base, add: (part) => addFile({ http, base }, part) },
    async addresses(signal) {
      const what = "the question for the addresses of the IPFS node";
      const { Addresses } = await exchange(http, { ...call, url: `${base}/api/v0/id`, what, signal }, (answer) =>
        readJson(answer, { limit: MAX_ANSWER_BYTES, what, parse: (value) => idSchema.parse(value) }),
      );
      return (Addresses ?? []).filter((address) => address.includes("/p2p/") && !LOCAL.test(address)).slice(0, 20);
    },
    async connect(address, signal) {
      const url = `${base}/api/v0/swarm/connect?arg=${encodeURIComponent(address)}`;
      await exchange(
        { ...http, attempts: 1 },
        { ...call, url, what: `connecting to ${address}`, signal },
        async () => {},
      );
    },
  };
}
