// Every error of the contracts and of this package's client in plain words, with what to do next. The type of the table
// holds every error of every ABI: one that is added to a contract does not compile until it is explained here.
import type { AbiErrorName } from "./chain/abi.ts";

export interface Explanation {
  /** What is wrong; lower case, without a full stop. */
  readonly message: string;
  /** The next step. */
  readonly hint: string;
}

const RETRY = "look at the state again: somebody else was faster";
const REFUSED = "nothing has changed on the chain";

/** Terms of jobs, and who may do what in which phase. */
const jobs = {
  AlreadyAbstained: { message: "the seat has abstained from this round", hint: "wait for the next round" },
  AlreadyClaimed: { message: "the hold of this seat has been claimed", hint: "there is nothing left to do" },
  AlreadyCommitted: { message: "the seat has committed in this round", hint: "wait for the next round" },
  AlreadyJoined: { message: "the worker has a seat in this job", hint: "go on with the seat that it has" },
  AlreadyProven: { message: "this audit slot has been proven", hint: "prove the other slots of the seat" },
  AlreadyReleased: { message: "the stake of this seat has been released", hint: "there is nothing left to do" },
  BadAdmission: { message: "the admission has expired or is missing", hint: "ask the job's admitter for an admission" },
  BadAmount: { message: "an amount exceeds 2^120 units", hint: "use smaller amounts" },
  BadAudit: {
    message: "the audit settings do not fit the steps of a round",
    hint: "auditSteps must be 1 to 16 and divide the segments of a round, segment 1 to 4 and divide steps, auditBps 1 to 10000",
  },
  BadAveraging: {
    message: "the nominal number of workers is no power of two, or below the number of seats",
    hint: "take the next power of two above the seats",
  },
  BadBatches: { message: "the data must have at least one batch", hint: "use more data or smaller batches" },
  BadBeacon: { message: "the beacon of the terms has no code", hint: "take a beacon of this chain" },
  BadDeadline: {
    message: "the deadline is before the end of the join and ready windows",
    hint: "set a later one, or 0 for none",
  },
  BadEnd: {
    message: "the first or last id of the round is not the one that the contract knows",
    hint: "take the ends from the job and from the commitment",
  },
  BadFails: { message: "the number of rounds that may fail is not 1 to 16", hint: "set maxFails to 1 to 16" },
  BadLength: { message: "two lists that belong together differ in length", hint: "send one entry for each seat" },
  BadMeta: { message: "the metadata does not match metaHash in the terms", hint: "hash the metadata that you send" },
  BadMode: { message: "there is no such mode of a job", hint: "take quorum (0) or proof (1)" },
  BadPath: {
    message: "a Merkle path does not lead to the committed root",
    hint: "compute the path from what was committed, for the drawn index",
  },
  BadPrice: {
    message: "the prices or shares of the pay contradict each other",
    hint: "priceMin must not exceed priceMax, and deliveryBps + holdBps not 10000",
  },
  BadRoot: {
    message: "a round of one segment has no ids in between",
    hint: "commit zero as the root of the steps",
  },
  BadRounds: { message: "the number of rounds is not 1 to 1024", hint: "set it to 1 to 1024" },
  BadSeats: { message: "the numbers of seats do not fit", hint: "1 to 256 seats, and minSeats 1 to that number" },
  BadSlot: { message: "there is no such audit slot", hint: "prove the slots that were drawn" },
  BadSteps: { message: "a round needs at least one step", hint: "set steps to 1 or more" },
  BadWindow: {
    message: "a time window is too short or too long for this chain",
    hint: "from 15 minutes (1 second on a development chain) to 7 days, the draw window at most 1 hour",
  },
  BeaconNotReady: { message: "the beacon has no value for this draw yet", hint: "wait for a few blocks" },
  BrokenChain: {
    message: "the steps do not lead to the id at the end of the segment",
    hint: "send the proofs of the drawn segment in their order",
  },
  BudgetTooLarge: { message: "the budget does not fit 128 bits", hint: "lower seats, rounds or price" },
  CommitMismatch: {
    message: "the answer does not belong to what the seat committed",
    hint: "send the committed idEnd and root, in the round of the commitment",
  },
  DuplicateId: {
    message: "another seat has committed this id in this round",
    hint: "the result was copied, or two workers trained on the same batches",
  },
  DuplicateSeat: { message: "a seat is named twice", hint: "name each seat once" },
  HoldBurned: { message: "the requester complained: the held part was burned", hint: "claim the rest of the pay" },
  NotEnoughGas: { message: "the transaction has too little gas to close the commits", hint: "send it with more gas" },
  NothingToClaim: { message: "there are no new finished rounds to claim", hint: "claim again after the next round" },
  NotRequester: { message: "only the requester may do this", hint: "use the account that posted the job" },
  NotSeat: { message: "this is not an active seat of the job", hint: "look at the job's seats" },
  NotSelected: { message: "the seat is not selected for an audit in this round", hint: "there is nothing to prove" },
  PriceTooLow: {
    message: "the price has not yet risen to what the worker asks",
    hint: "wait for the clock to rise, or ask for less",
  },
  ProofRejected: {
    message: "the verifier rejected the proof of a step",
    hint: "nothing has changed: send a correct proof before the window ends",
  },
  RequesterCannotJoin: {
    message: "the requester cannot work on its own job",
    hint: "work with another account and another payout address",
  },
  SeatActive: {
    message: "the stake of an active seat stays locked until the job is settled",
    hint: "leave the job, or release the stake after its end",
  },
  SignatureExpired: { message: "the signature has expired", hint: "ask the worker for a new one" },
  StakeTooLow: {
    message: "the stake is below the stake rule, or below eight miss penalties",
    hint: "raise the stake, audit more, or lower price or penalty",
  },
  TooFewAttestations: {
    message: "two thirds of the committed seats must attest, and more than before",
    hint: "collect more signatures",
  },
  TooManyPoints: {
    message: "seats times blocks of weights exceed 1024",
    hint: "lower the number of seats, or commit the model in larger blocks",
  },
  WrongCommit: {
    message: "an update does not belong to what its seat committed",
    hint: "take idEnd and root from the seat's commitment",
  },
  BadNonce: {
    message: "the signature names another nonce than the signer's next one: it was used, or another one came first",
    hint: "look whether it has taken effect; if not, sign again",
  },
  WrongEpoch: { message: "the worker has cancelled its outstanding signatures", hint: "ask the worker for a new one" },
  WrongMode: {
    message: "the job checks its results in another way",
    hint: "merge signatures belong to quorum mode, points to proof mode",
  },
  WrongPoints: { message: "points do not hash to the committed id", hint: "take the points of the committed weights" },
  WrongRound: { message: "the round has changed in the meantime", hint: RETRY },
  WrongSeats: {
    message: "the updates must be those of the included seats",
    hint: "send each included seat once, in ascending order",
  },
  ZeroId: { message: "the id of the next model is zero", hint: "sign the id of the averaged model" },
} satisfies Record<string, Explanation>;

/** Listings, purchases, offers and orders of answers. */
const market = {
  AnswerRejected: {
    message: "the verifier rejected the proof of the answer",
    hint: "nothing has changed: prove this order's input with the offered model and public output, for the statement of the order",
  },
  BadAnswer: { message: "an answer has 1 to 1024 bytes", hint: "send the logits, 32 bytes each" },
  BadBond: { message: "a free listing takes no bond", hint: "set the bond to 0, or set a price" },
  BadCid: { message: "the content identifier is empty or longer than 128 bytes", hint: "name the content by its CID" },
  BadContent: {
    message: "the root of the content is zero",
    hint: "compute the root of the data or the id of the model",
  },
  BadInput: { message: "the id of the input is zero", hint: "compute the id from the input" },
  BadLatency: { message: "the time to answer is not 1 second to 7 days", hint: "set maxLatency in seconds" },
  BadListingKind: { message: "a listing is data (1) or a model (2)", hint: "set the kind to 1 or 2" },
  BadListingPrice: {
    message: "a listing has both a price and a key, or neither",
    hint: "a free listing stays free: list the content again to sell it",
  },
  BadModel: { message: "the id of the model is zero", hint: "commit to the model's weights first" },
  FreeListing: { message: "the listing is free", hint: "fetch its content without a purchase" },
  KeyIsRight: {
    message: "the delivered key is the committed one",
    hint: "open the content with it; the complaint has changed nothing",
  },
  MetaTooLong: { message: "the metadata exceeds 4 KiB", hint: "shorten it, or put the rest into the content" },
  NotActive: {
    message: "the listing or offer has ended, or there is none",
    hint: "look for another one; open orders go on",
  },
  NotBuyer: { message: "only the buyer may do this", hint: "use the account that bought" },
  NotHost: { message: "only the host of the offer may do this", hint: "use the account that made the offer" },
  NotSeller: { message: "only the seller may do this", hint: "use the account that made the listing" },
  PriceChanged: {
    message: "the price is now higher than what you would pay",
    hint: "look at the new price, and order again with a higher limit",
  },
  ReferenceTooLong: {
    message: "the reference to the input exceeds 1 KiB",
    hint: "put the input elsewhere and name it",
  },
  WrongSecret: {
    message: "the secret does not belong to the point of the order",
    hint: "use the secret that was stored for this purchase",
  },
} satisfies Record<string, Explanation>;

/** What several contracts say. */
const shared = {
  BadPoint: {
    message: "a point is not on the curve, or the chain lacks the curve's precompiles",
    hint: "check the point; on a new chain check the precompiled contracts 6 and 7",
  },
  BadSignature: {
    message: "a signature was not made by the account that it names",
    hint: "sign again: chain, contract, job and round must be those of the call",
  },
  BadVerifier: {
    message: "the verifier is not registered for this purpose, or its code has changed",
    hint: "deploy the model's verifier first, and check its id",
  },
  NotToken: {
    message: "the address of the token has no code",
    hint: "check the token's address and the chain",
  },
  TooEarly: { message: "this is not allowed yet: the time for it comes later", hint: "wait for the end of the window" },
  TooLate: {
    message: "the time window has ended",
    hint: "only the timeout is left: anybody may call tick",
  },
  WrongState: {
    message: "the job or order is not in the state that this needs",
    hint: RETRY,
  },
  ZeroAmount: { message: "there is nothing to move", hint: "name an amount above 0" },
} satisfies Record<string, Explanation>;

/** Money, workers, verifiers. */
const accounts = {
  AlreadyRegistered: { message: "the worker is registered", hint: "change its payout or capabilities instead" },
  BadBlocks: { message: "the weights of a verifier need at least one block", hint: "describe the compiled circuit" },
  BadCode: {
    message: "a verifier must be a plain contract of 24 to 24576 bytes",
    hint: "deploy the generated verifier; delegated accounts cannot be one",
  },
  BadKind: {
    message: "a verifier is for training steps (1) or for inference (2)",
    hint: "set the kind of the description to 1 or 2",
  },
  BadPayout: { message: "the payout address is zero", hint: "name the address that gets the pay" },
  BadPubkey: {
    message: "the public key does not belong to the worker's address",
    hint: "send the uncompressed key of the node, 64 bytes",
  },
  CapabilitiesTooLong: { message: "the description of capabilities exceeds 1 KiB", hint: "shorten it" },
  CreationFailed: { message: "the contract could not be created", hint: "check its initcode and the gas limit" },
  FeeOnTransfer: {
    message: "the token keeps a part of each transfer; such tokens are not supported",
    hint: "use another token",
  },
  InsufficientBalance: {
    message: "the balance is too small",
    hint: "send tokens to the wallet, commands deposit what they need; npx skynet wallet balance shows both balances",
  },
  InsufficientStake: { message: "the free stake is too small", hint: "add stake in the token of the job" },
  NotJobBoard: { message: "only the JobBoard may lock and slash stakes", hint: REFUSED },
  NotModule: { message: "only contracts of SkyNet may move escrows", hint: REFUSED },
  NotPayout: { message: "only the worker's payout address may do this", hint: "use the account that gets the pay" },
  NotRegistered: { message: "the worker is not registered", hint: "register the node key first" },
  NothingToDeploy: { message: "all contracts have been created", hint: "there is nothing left to do" },
  ReentrancyGuardReentrantCall: {
    message: "a token called back into the Ledger during a transfer",
    hint: "use a token that does not",
  },
  SafeERC20FailedOperation: {
    message: "the token refused the transfer",
    hint: "check balance, allowance and whether the token blocks the account",
  },
  StillBonded: { message: "the stake is still in its unbonding time", hint: "wait for the time in the message" },
  WrongInitcode: {
    message: "this is not the code of the next contract",
    hint: "deploy with the sources of the version that made the Deployer",
  },
} satisfies Record<string, Explanation>;

/** The list of relays. */
const relays = {
  BadDeposit: {
    message: "the ether that came along is not what the deposit still needs",
    hint: "send the amount in the message; what is locked already counts",
  },
  BadLifetime: { message: "an entry lasts 1 second to 7 days", hint: "take a shorter time, and renew it" },
  BadMultiaddrs: {
    message: "the addresses of a relay have 1 to 256 bytes together",
    hint: "announce fewer or shorter addresses, without the PeerId",
  },
  BadRelayKey: {
    message: "the public key does not belong to the sender",
    hint: "send from the relay's own account, with its uncompressed key of 64 bytes",
  },
  NoDeposit: { message: "no ether of this account is locked", hint: "there is nothing left to do" },
  NotExpired: {
    message: "the entry of the relay has not expired",
    hint: "wait for the time in the message",
  },
  NotListed: { message: "the relay is not listed", hint: "announce it first" },
  RefundFailed: {
    message: "the account refuses the ether that returns to it",
    hint: "let its code accept plain transfers",
  },
} satisfies Record<string, Explanation>;

/** Tokens and signed domains, as OpenZeppelin writes them. */
const tokens = {
  ECDSAInvalidSignature: { message: "a signature is malformed", hint: "sign again" },
  ECDSAInvalidSignatureLength: { message: "a signature has the wrong length", hint: "send 65 bytes" },
  ECDSAInvalidSignatureS: { message: "a signature is not in its canonical form", hint: "send the one with the low s" },
  ERC20InsufficientAllowance: {
    message: "the token does not let the Ledger take this amount",
    hint: "approve the amount for the Ledger first",
  },
  ERC20InsufficientBalance: { message: "the wallet holds too little of the token", hint: "get more, or move less" },
  ERC20InvalidApprover: { message: "the zero address cannot approve", hint: REFUSED },
  ERC20InvalidReceiver: { message: "the token cannot be sent to this address", hint: "name another address" },
  ERC20InvalidSender: { message: "the token cannot be sent from this address", hint: REFUSED },
  ERC20InvalidSpender: { message: "this address cannot be approved", hint: "approve the Ledger" },
  ERC2612ExpiredSignature: { message: "the permit has expired", hint: "sign a new one" },
  ERC2612InvalidSigner: { message: "the permit was not signed by the owner", hint: "sign with the owner's key" },
  InvalidAccountNonce: { message: "the permit has been used", hint: "sign a new one" },
  InvalidShortString: { message: "a name of a signed domain is malformed", hint: REFUSED },
  OnlyDevelopmentChain: {
    message: "test tokens and test beacons exist on development chains only",
    hint: "use a token and a beacon of this chain",
  },
  StringTooLong: { message: "a name of a signed domain is too long", hint: REFUSED },
} satisfies Record<string, Explanation>;

/** What the client says itself, and what Solidity says without a custom error. */
const client = {
  Error: { message: "the contract refused the call", hint: "read the reason in the message" },
  NoGasMoney: {
    message: "the account has too little ether for the gas",
    hint: "send some ether to it; a worker can let a sponsor pay: --sponsor",
  },
  Panic: {
    message: "the contract stopped at an arithmetic or access error",
    hint: "check the numbers of the call; please report how it came about",
  },
  Reverted: {
    message: "the transaction failed and gave no reason",
    hint: "a token that refuses, too little gas, or a contract that is not SkyNet's",
  },
  UnknownBlock: { message: "the chain does not know this block", hint: "wait for it, or ask another endpoint" },
  UnknownJob: { message: "there is no such job", hint: "check the id and the chain" },
  UnknownListing: { message: "there is no such listing", hint: "check the id and the chain" },
  UnknownOffer: { message: "there is no such offer", hint: "check the id and the chain" },
  UnknownOrder: { message: "there is no such order", hint: "check the id and the chain" },
  UnknownTransaction: {
    message: "the chain does not know this transaction",
    hint: "wait for it, or ask another endpoint",
  },
  UnknownVerifier: { message: "no verifier has this id", hint: "deploy the model's verifier first" },
} satisfies Record<string, Explanation>;

const explanations: Record<AbiErrorName, Explanation> & Record<keyof typeof client, Explanation> = {
  ...jobs,
  ...market,
  ...shared,
  ...accounts,
  ...relays,
  ...tokens,
  ...client,
};

/** What an error of the contracts or of this client means, and what to do next; undefined for other names. */
export function explainError(code: string): Explanation | undefined {
  return Object.hasOwn(explanations, code) ? explanations[code as keyof typeof explanations] : undefined;
}

/** Names of all errors that are explained. */
export const explainedErrors: readonly string[] = Object.keys(explanations);
