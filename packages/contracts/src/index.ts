export { startAnvil } from "./anvil.ts";
export type { Anvil, AnvilOptions } from "./anvil.ts";
export {
  beaconAbi,
  catalogAbi,
  inferenceBoardAbi,
  jobBoardAbi,
  ledgerAbi,
  relayRegistryAbi,
  tokenAbi,
  verifierRegistryAbi,
  workerRegistryAbi,
} from "./chain/abi.ts";
export { accountMessageTypes, recoverAccountMessage, signAccountMessage } from "./chain/account-signatures.ts";
export type { AccountDomain, AccountMessageKind } from "./chain/account-signatures.ts";
export { addressOfPublicKey, createChain } from "./chain/create.ts";
export type { ChainOptions } from "./chain/create.ts";
export type { ChainJobEvent, EventPlace, JobMoney } from "./chain/events.ts";
export { InferenceState, ListingKind, MARKET_LIMITS, PurchaseState } from "./chain/market-types.ts";
export type {
  Catalog,
  CatalogEvent,
  CatalogWindows,
  ChainInferenceOrder,
  ChainListing,
  ChainOffer,
  ChainPurchase,
  InferenceBoard,
  InferenceEvent,
  ListingTerms,
  MarketRange,
  OfferTerms,
  PublishedListing,
  PublishedOffer,
} from "./chain/market-types.ts";
export type { BoardCall } from "./chain/proofs.ts";
export { hashJobMessage, jobMessageTypes, recoverJobMessage, signJobMessage } from "./chain/signatures.ts";
export type { JobDomain, JobMessageKind, JobMessages } from "./chain/signatures.ts";
export { forwardable } from "./chain/signed-forms.ts";
export { rawCallOf } from "./chain/transactions.ts";
export type { Call, RawCall, WriteOptions } from "./chain/transactions.ts";
export type {
  Admission,
  ChainBalances,
  ChainJob,
  ChainReputation,
  ChainVerifier,
  ChainWorker,
  LeavingStake,
  ProofStatement,
  SeatUpdate,
  SignedAcceptance,
  SignedBitmap,
  SignedCommitment,
  SignedSeat,
  SlotAnswer,
  StepProof,
} from "./chain/records.ts";
export type { Chain, PollOptions, MinedTransaction, RoutedChain, RoutedSend, WatchOptions } from "./chain/types.ts";
export type { ChainRelay, RelayRegistry } from "./chain/relay-types.ts";
export { skynetAddresses } from "./deployment/addresses.ts";
export type { SkyNetAddresses } from "./deployment/addresses.ts";
export { assertDeployed, deploySkyNet, DEVELOPMENT_CHAIN_ID } from "./deployment/deploy.ts";
export { openDeployment } from "./deployment/deployment.ts";
export type { DeployedContract, Deployment, DeploymentPlan } from "./deployment/deployment.ts";
export * from "./errors.ts";
export { explainedErrors, explainError } from "./explanations.ts";
export type { Explanation } from "./explanations.ts";
export { createDeliverySecret, deliveryPoint, keyCommitOf, openKey, sealKey } from "./key-delivery.ts";
