/** libp2p's ids of the Waku services (12/WAKU2-FILTER, 13/WAKU2-STORE, 19/WAKU2-LIGHTPUSH, 34/…, 66/…). */
export const FILTER_SUBSCRIBE_PROTOCOL = "/vac/waku/filter-subscribe/2.0.0-beta1";
export const FILTER_PUSH_PROTOCOL = "/vac/waku/filter-push/2.0.0-beta1";
export const STORE_PROTOCOL = "/vac/waku/store-query/3.0.0";
export const LIGHT_PUSH_PROTOCOL = "/vac/waku/lightpush/3.0.0";
export const LIGHT_PUSH_V2_PROTOCOL = "/vac/waku/lightpush/2.0.0-beta1";
export const METADATA_PROTOCOL = "/vac/waku/metadata/1.0.0";
export const PEER_EXCHANGE_PROTOCOL = "/vac/waku/peer-exchange/2.0.0-alpha1";

/** Status codes of the services, with the meaning that nwaku and js-waku give them. */
export const Status = {
  ok: 200,
  badRequest: 400,
  notFound: 404,
  tooLarge: 413,
  invalidMessage: 420,
  unsupportedTopic: 421,
  tooManyRequests: 429,
  internalError: 500,
  unavailable: 503,
  noPeers: 505,
} as const;

/** Whether a status code says that the request was done. */
export const succeeded = (code: number | undefined): boolean => code !== undefined && code >= 200 && code < 300;
