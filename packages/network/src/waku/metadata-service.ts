import { proto_metadata } from "@waku/proto";
import { METADATA_PROTOCOL } from "./protocols.ts";
import { serveRpc, type ServiceContext } from "./rpc.ts";
import type { Rate } from "../timing/token-bucket.ts";

/** Tells which cluster and shards this node relays (66/WAKU2-METADATA). */
export function serveMetadata(
  context: ServiceContext,
  { clusterId, shards, rate }: { clusterId: number; shards: number[]; rate: Rate },
): Promise<void> {
  const answer = proto_metadata.WakuMetadataResponse.encode({ clusterId, shards });
  return serveRpc(context, { protocol: METADATA_PROTOCOL, maxRequestBytes: 4096, rate }, (request, _from, limited) => {
    proto_metadata.WakuMetadataRequest.decode(request);
    // The protocol has no status: an empty answer says as little as none.
    return limited ? new Uint8Array() : answer;
  });
}
