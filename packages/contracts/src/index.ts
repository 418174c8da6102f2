export { startAnvil } from "./anvil.ts";
export type { Anvil, AnvilOptions } from "./anvil.ts";
export { accountMessageTypes, recoverAccountMessage, signAccountMessage } from "./chain/account-signatures.ts";
export type { AccountDomain, AccountMessageKind } from "./chain/account-signatures.ts";
export { beaconAbi, jobBoardAbi, ledgerAbi, tokenAbi, verifierRegistryAbi, workerRegistryAbi } from "./chain/abi.ts";
export { addressOfPublicKey, createChain } from "./chain/create.ts";
export type { ChainOptions } from "./chain/create.ts";
export type { ChainJobEvent, JobMoney } from "./chain/events.ts";
export type { BoardCall } from "./chain/proofs.ts";
export { hashJobMessage, jobMessageTypes, recoverJobMessage, signJobMessage } from "./chain/signatures.ts";
export type { JobDomain, JobMessageKind, JobMessages } from "./chain/signatures.ts";
export { forwardable } from "./chain/signed-forms.ts";
export { rawCallOf } from "./chain/transactions.ts";
export type { Call, RawCall, WriteOptions } from "./chain/transactions.ts";
export type {
  Admission,
  Chain,
  ChainBalances,
  ChainJob,
  ChainVerifier,
  ChainWorker,
  MinedTransaction,
  ProofStatement,
  RoutedChain,
  RoutedSend,
  SeatUpdate,
  SignedAcceptance,
  SignedBitmap,
  SignedCommitment,
  SignedSeat,
  SlotAnswer,
  StepProof,
  WatchOptions,
} from "./chain/types.ts";
export { skynetAddresses } from "./deployment/addresses.ts";
export type { SkyNetAddresses } from "./deployment/addresses.ts";
export { assertDeployed, deploySkyNet, DEVELOPMENT_CHAIN_ID } from "./deployment/deploy.ts";
export * from "./errors.ts";
