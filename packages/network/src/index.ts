export { answerRequests, ask, type AnswerOptions, type AskOptions } from "./ask.ts";
export type { FetchBlockOptions } from "./block-client.ts";
export { BLOCK_PROTOCOL, MAX_BLOCK_BYTES } from "./block-messages.ts";
export { fetchBlock, serveBlocks, type ServeBlocksOptions } from "./blocks.ts";
export type { ConnectOptions } from "./connect.ts";
export type { Directory, DirectoryEntry } from "./directory.ts";
export type { DropReason } from "./drops.ts";
export type { OutgoingMessage } from "./envelope.ts";
export { NetworkError, type NetworkErrorCode } from "./errors.ts";
export type { FramedStream } from "./framed-stream.ts";
export { createGroupKey, unwrapKey, wrapKey, type RandomBytes } from "./group-key.ts";
export { createHost, type Host, type HostOptions, type PublishOptions } from "./host.ts";
export {
  addressFromPeerId,
  addressFromPublicKey,
  createIdentity,
  deriveSecret,
  peerIdFromPublicKey,
  publicKeyFromPeerId,
  type Identity,
} from "./identity.ts";
export type { RelayHandler, RelayMessage, SubscribeOptions } from "./inbox.ts";
export type { Log } from "./log.ts";
export type { Presence } from "./presence.ts";
export { checkReceipt, receiptDigest, verifyReceipt, type Receipt, type UpdateId } from "./receipt.ts";
export {
  receiveUpdates,
  type ReceiveUpdatesOptions,
  type UpdateHeader,
  type UpdateVerdict,
} from "./receive-updates.ts";
export { sendUpdate, type DeliveredUpdate, type SendUpdateOptions, type UpdateProgress } from "./send-update.ts";
export type { StreamHandler } from "./serve.ts";
export type { ByteCount, Traffic } from "./traffic.ts";
export { CHUNK_BYTES, UPDATE_PROTOCOL } from "./update-messages.ts";
export { CLUSTER_ID, MAX_MESSAGE_BYTES } from "./waku-message.ts";
