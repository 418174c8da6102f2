// The second public face: what needs Node.
export { openSqliteDeliveryStore, type SqliteDeliveryStore } from "./node/sqlite-delivery-store.ts";
