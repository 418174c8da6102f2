export { answerRequests, ask, type AnswerOptions, type AskOptions } from "./host/ask.ts";
export { BLOCK_PROTOCOL, MAX_BLOCK_BYTES } from "./bulk/block-messages.ts";
export type { BlockProvider } from "./bulk/block-server.ts";
export { fetchBlock, fetchBlocks, serveBlocks, type FetchBlockOptions } from "./bulk/blocks.ts";
export type { Bulk } from "./bulk/bulk.ts";
export { createMemoryPartials, type Partials } from "./bulk/partials.ts";
export type { TransferOptions, TransferProgress } from "./bulk/transfer.ts";
export type { BlockRef } from "./bulk/transfer-task.ts";
export type { ConnectOptions } from "./host/connect.ts";
export { systemTimers, type MessageChannel, type Timers } from "./delivery/channel.ts";
export {
  createDelivery,
  type Delivery,
  type DeliveryCounters,
  type DeliveryOptions,
  type DeliveryOutcome,
  type JobChannel,
  type JoinOptions,
  type SendOptions,
  type SendSealedOptions,
} from "./delivery/delivery.ts";
export { MAX_CONTENT_BYTES } from "./delivery/frame.ts";
export { hostChannel, publicKeyFrom } from "./delivery/host-channel.ts";
export type { DeliveredMessage, DeliveryHandler } from "./delivery/intake.ts";
export { openIndexedDbDeliveryStore, type IndexedDbDeliveryStore } from "./browser/indexeddb-delivery-store.ts";
export { createMemoryStore } from "./delivery/memory-store.ts";
export { verifyDeliveryReceipt, type DeliveryReceipt } from "./delivery/receipt.ts";
export type { DeliveryStore, ReceiptFilter, StoredReceipt } from "./delivery/store.ts";
export type { Directory, DirectoryEntry } from "./discovery/directory.ts";
export type { Reachability, RelayStatus } from "./discovery/relay-pool.ts";
export { bootstrapRelays, type BootstrapOptions } from "./discovery/bootstrap.ts";
export type { DocumentStore } from "./discovery/document-store.ts";
export { openPeerBook, type PeerBook } from "./discovery/peer-book.ts";
export { parseRelayAddress, type RelayAddress } from "./discovery/relay-address.ts";
export {
  checkRelayList,
  readRelayList,
  signRelayList,
  type ListCheck,
  type RelayList,
  type RelayListContent,
} from "./discovery/relay-list.ts";
export { fixedRelays, isRelayRole, type RelaySource, type SourceName } from "./discovery/relay-source.ts";
export type { Scope } from "./ip/scope.ts";
export type { DropReason } from "./host/drops.ts";
export type { OutgoingMessage } from "./messages/envelope.ts";
export { NetworkError, type NetworkErrorCode } from "./errors.ts";
export type { FramedStream } from "./host/framed-stream.ts";
export { createGroupKey, unwrapKey, wrapKey, type RandomBytes } from "./identity/group-key.ts";
export { checkMultiaddrs } from "./host/check-multiaddrs.ts";
export { createHost } from "./host/host.ts";
export type { Host, HostOptions, PublishOptions } from "./host/types.ts";
export {
  addressFromPeerId,
  addressFromPublicKey,
  createIdentity,
  deriveSecret,
  peerIdFromPublicKey,
  publicKeyFromPeerId,
  type Identity,
} from "./identity/identity.ts";
export type { RelayHandler, RelayMessage, SubscribeOptions } from "./messages/inbox.ts";
export { limitsOf, memoryBound, type Limits } from "./limits/limits.ts";
export type { Offence, PeerScore } from "./limits/scores.ts";
export type { Log } from "./host/log.ts";
export type { Presence } from "./discovery/presence.ts";
export { checkReceipt, receiptDigest, verifyReceipt, type Receipt, type UpdateId } from "./bulk/receipt.ts";
export {
  receiveUpdates,
  type ReceiveUpdatesOptions,
  type UpdateHeader,
  type UpdateVerdict,
} from "./bulk/receive-updates.ts";
export { sendUpdate, type DeliveredUpdate, type SendUpdateOptions, type UpdateProgress } from "./bulk/send-update.ts";
export type { StreamHandler } from "./host/serve.ts";
export type { TlsCertificate } from "./host/certificates.ts";
export type { ConnectionInfo, ConnectionKind } from "./host/connections.ts";
export type { MetricSample } from "./host/libp2p-metrics.ts";
export type { ByteCount, StreamCount, Traffic } from "./host/traffic.ts";
export { CHUNK_BYTES, UPDATE_PROTOCOL } from "./bulk/update-messages.ts";
export type { HistoryRange, HistoryResult } from "./waku/history.ts";
export { createMemoryMessageStore } from "./waku/memory-message-store.ts";
export {
  compareMessages,
  pageOf,
  type HistoryPage,
  type HistoryQuery,
  type MessageStore,
  type StoredMessage,
  type StoreLimits,
} from "./waku/message-store.ts";
export type { ServiceRates, ServiceSize, ServicesOptions } from "./waku/services.ts";
export type { Rate } from "./timing/token-bucket.ts";
export { CLUSTER_ID, MAX_MESSAGE_BYTES } from "./messages/waku-message.ts";
export { DEFAULT_CIRCUIT_LIMITS, type CircuitFigures, type CircuitLimits } from "./nat/circuit-service.ts";
export { listenAddresses, type NetworkTransport, type TransportName } from "./transports/transport.ts";
export type { StunOptions } from "./nat/nat.ts";
