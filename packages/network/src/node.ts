// The second public face: what needs Node.
export { fileStore } from "./node/file-store.ts";
export { loadList } from "./node/load-list.ts";
export { openPartialFiles } from "./node/partial-files.ts";
export { openSqliteDeliveryStore, type SqliteDeliveryStore } from "./node/sqlite-delivery-store.ts";
export { DISK_LIMITS, openSqliteMessageStore, type SqliteStoreOptions } from "./node/sqlite-message-store.ts";
export { startStunServer, type StunServer, type StunServerOptions } from "./node/stun/stun-server.ts";
export { transports } from "./platform/node.ts";
export {
  diagnosePeer,
  diagnoseRelays,
  diagnoseRouter,
  type NatDiagnosis,
  type PathDiagnosis,
  type RelayDiagnosis,
  type RouterDiagnosis,
} from "./node/diagnose.ts";
