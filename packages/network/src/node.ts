// The second public face: what needs Node.
export { openSqliteDeliveryStore, type SqliteDeliveryStore } from "./node/sqlite-delivery-store.ts";
export { DISK_LIMITS, openSqliteMessageStore, type SqliteStoreOptions } from "./node/sqlite-message-store.ts";
