export { openIndex } from "./client/open-index.ts";
export type { IndexClient, IndexClientOptions, IndexPage } from "./client/open-index.ts";
export { IndexError } from "./errors.ts";
export type { JobQuery } from "./queries/jobs.ts";
export type { ListingQuery } from "./queries/listings.ts";
export type { OfferQuery } from "./queries/offers.ts";
export type {
  IndexedJob,
  IndexedJobDetail,
  IndexedListing,
  IndexedOffer,
  IndexedToken,
  IndexedVerifier,
  IndexedWorker,
  IndexStatus,
} from "./schemas.ts";
export { startIndexer } from "./start.ts";
export type { Indexer, IndexerOptions } from "./start.ts";
