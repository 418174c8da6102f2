import { budgetOf, toHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import type { Abi, TransactionReceipt } from "viem";
import { parseEventLogs } from "viem";
import { publicKeyToAddress } from "viem/accounts";
import { lower, skynetAddresses } from "../deployment/addresses.ts";
import { assertDeployed, deploySkyNet } from "../deployment/deploy.ts";
import { ChainError, InsufficientBalance } from "../errors.ts";
import { jobBoardAbi, ledgerAbi, tokenAbi, workerRegistryAbi } from "./abi.ts";
import { createCatalog } from "./catalog.ts";
import { connect } from "./connection.ts";
import { depositCalls } from "./deposit.ts";
import type { BlockRange } from "./events.ts";
import { createInferenceBoard } from "./inference.ts";
import { createProofReads, createVerifierWrites } from "./proofs.ts";
import { createReads } from "./reads.ts";
import type { ReadContext } from "./reads.ts";
import { createRelayRegistry } from "./relays.ts";
import { recoverJobMessage, signJobMessage } from "./signatures.ts";
import type { JobMessageKind, JobMessages } from "./signatures.ts";
import { createForwarding } from "./forwarding.ts";
import { createSignedForms } from "./signed-forms.ts";
import { createForward, createSender } from "./transactions.ts";
import type { Send, WriteOptions } from "./transactions.ts";
import type { Admission } from "./records.ts";
import type { Chain } from "./types.ts";
import { watchEvents } from "./watch.ts";
import { createWorkerReads } from "./workers.ts";

export interface ChainOptions {
  readonly rpcUrl: string;
  /** 32-byte secp256k1 key of the account. */
  readonly privateKey: Hex;
  /** First block of a chain that can hold events of SkyNet, default 0: saves time on old chains. */
  readonly firstBlock?: (chainId: number) => Promise<bigint>;
}

interface WriteContext {
  readonly reading: ReadContext;
  readonly send: Send;
  /** Sends a call of the JobBoard. */
  board(name: string, args: readonly unknown[], options?: WriteOptions): Promise<TransactionReceipt>;
  registry(name: string, args: readonly unknown[], options?: WriteOptions): Promise<TransactionReceipt>;
  ledger(name: string, args: readonly unknown[], options?: WriteOptions): Promise<TransactionReceipt>;
}

const NO_ADMISSION: Admission = { expiry: 0n, signature: "0x" };

/** Uncompressed public key without its 04 prefix. */
function rawPublicKey(publicKey: Hex): Hex {
  return `0x${publicKey.slice(4)}`;
}

type Money = Pick<
  Chain,
  | "mint"
  | "deposit"
  | "withdraw"
  | "withdrawFor"
  | "register"
  | "setPayout"
  | "setCapabilities"
  | "addStake"
  | "beginUnstake"
  | "finishUnstake"
  | "bumpEpoch"
>;

function createMoneyWrites({ reading, send, ledger, registry }: WriteContext): Money {
  const { address, addresses, connection } = reading;
  return {
    mint: (amount, to = address, options) =>
      send({ address: addresses.testToken, abi: tokenAbi, functionName: "mint", args: [to, amount] }, options),
    deposit: async (token, amount, to = address, options) => {
      const calls = await depositCalls(reading, token, amount, to);
      for (const call of calls.slice(0, -1)) await send(call, options);
      return send(calls.at(-1)!, options);
    },
    withdraw: (token, amount, to = address, options) => ledger("withdraw", [token, to, amount], options),
    withdrawFor: (token, owner, options) => ledger("withdrawFor", [token, owner], options),
    register: ({ payout = address, capabilities = new Uint8Array() } = {}, options) =>
      registry("register", [rawPublicKey(connection.account.publicKey), payout, toHex(capabilities)], options),
    setPayout: (worker, payout, options) => registry("setPayout", [worker, payout], options),
    setCapabilities: (capabilities, options) => registry("setCapabilities", [toHex(capabilities)], options),
    addStake: (token, amount, worker = address, options) => registry("addStake", [token, worker, amount], options),
    beginUnstake: (token, amount, worker = address, options) =>
      registry("beginUnstake", [token, worker, amount], options),
    finishUnstake: (token, worker = address, options) => registry("finishUnstake", [token, worker], options),
    bumpEpoch: (worker = address, options) => registry("bumpEpoch", [worker], options),
  };
}

type Requester = Pick<Chain, "post" | "cancel" | "stop" | "accept" | "complain" | "publishKeys">;

function createRequesterWrites({ reading, board }: WriteContext): Requester {
  const { connection, addresses, address } = reading;
  return {
    post: async (spec, meta, options) => {
      const needed = budgetOf(spec);
      const available = await connection.reach(() =>
        connection.publicClient.readContract({
          address: addresses.ledger,
          abi: ledgerAbi,
          functionName: "balanceOf",
          args: [spec.token, address],
        }),
      );
      if (available < needed) throw new InsufficientBalance(available, needed);
      const receipt = await board("post", [spec, toHex(meta)], options);
      const [posted] = parseEventLogs({ abi: jobBoardAbi, eventName: "JobPosted", logs: receipt.logs, strict: true });
      if (posted === undefined) throw new ChainError("Reverted", [receipt.transactionHash]);
      return { jobId: posted.args.jobId, receipt };
    },
    cancel: (jobId, options) => board("cancel", [jobId], options),
    stop: (jobId, options) => board("stop", [jobId], options),
    accept: (jobId, options) => board("accept", [jobId], options),
    complain: (jobId, options) => board("complain", [jobId], options),
    publishKeys: (jobId, epoch, cid, options) => board("publishKeys", [jobId, epoch, toHex(cid)], options),
  };
}

type WorkerWrites = Pick<
  Chain,
  | "join"
  | "joinFor"
  | "ready"
  | "commit"
  | "commitFor"
  | "abstain"
  | "abstainFor"
  | "leave"
  | "leaveFor"
  | "attest"
  | "draw"
  | "prove"
  | "mergeProven"
  | "merge"
  | "tick"
  | "claim"
  | "claimHold"
  | "release"
>;

function createWorkerWrites({ board }: WriteContext): WorkerWrites {
  return {
    join: (jobId, { minPrice = 0n, admission = NO_ADMISSION } = {}, options) =>
      board("join", [jobId, minPrice, admission], options),
    joinFor: (jobId, list, options) => {
      const admissions = list.map(({ admission }) => admission ?? NO_ADMISSION);
      const signatures = list.map(({ signature }) => signature);
      return board("joinFor", [jobId, list.map(({ acceptance }) => acceptance), signatures, admissions], options);
    },
    ready: (jobId, keyRef, seats, options) =>
      board("ready", [jobId, keyRef, seats.map(({ seat }) => seat), seats.map(({ signature }) => signature)], options),
    commit: (jobId, idEnd, stepsRoot, options) => board("commit", [jobId, idEnd, stepsRoot], options),
    commitFor: (jobId, list, options) =>
      board("commitFor", [jobId, list, list.map(({ signature }) => signature)], options),
    abstain: (jobId, round, options) => board("abstain", [jobId, round], options),
    abstainFor: (jobId, round, { seat, signature }, options) =>
      board("abstainFor", [jobId, round, seat, signature], options),
    leave: (jobId, options) => board("leave", [jobId], options),
    leaveFor: (jobId, { seat, signature }, options) => board("leaveFor", [jobId, seat, signature], options),
    attest: (jobId, rows, options) => {
      const columns = [rows.map(({ seat }) => seat), rows.map(({ received }) => received)];
      return board("attest", [jobId, ...columns, rows.map(({ signature }) => signature)], options);
    },
    draw: (jobId, options) => board("draw", [jobId], options),
    prove: (jobId, answer, options) => board("prove", [jobId, answer], options),
    mergeProven: (jobId, basePoints, updates, options) => board("mergeProven", [jobId, basePoints, updates], options),
    merge: (jobId, idNext, seats, options) =>
      board("merge", [jobId, idNext, seats.map(({ seat }) => seat), seats.map(({ signature }) => signature)], options),
    tick: (jobId, options) => board("tick", [jobId], options),
    claim: (jobId, seat, toRound, options) => board("claim", [jobId, seat, toRound], options),
    claimHold: (jobId, seat, options) => board("claimHold", [jobId, seat], options),
    release: (jobId, seat, options) => board("release", [jobId, seat], options),
  };
}

type Signing = Pick<Chain, Exclude<Extract<keyof Chain, `sign${string}` | `recover${string}`>, "signedForm">>;

function createSigning({ connection, chainId, addresses, address }: ReadContext): Signing {
  const domain = { chainId, jobBoard: addresses.jobBoard };
  const sign =
    <Kind extends JobMessageKind>(kind: Kind) =>
    (message: JobMessages[Kind]) =>
      signJobMessage(connection.account, domain, kind, message);
  const recover =
    <Kind extends JobMessageKind>(kind: Kind) =>
    (message: JobMessages[Kind], signature: Hex) =>
      recoverJobMessage(domain, kind, message, signature);
  return {
    signAccept: (message) => sign("Accept")({ ...message, worker: address }),
    signAdmit: sign("Admit"),
    signReady: sign("Ready"),
    signCommit: sign("Commit"),
    signAttest: sign("Attest"),
    signAbstain: sign("Abstain"),
    signLeave: sign("Leave"),
    recoverAccept: recover("Accept"),
    recoverAdmit: recover("Admit"),
    recoverReady: recover("Ready"),
    recoverCommit: recover("Commit"),
    recoverAttest: recover("Attest"),
    recoverAbstain: recover("Abstain"),
    recoverLeave: recover("Leave"),
  };
}

function createWriteContext(reading: ReadContext, send: Send): WriteContext {
  const { addresses } = reading;
  const writer =
    (address: Hex, abi: Abi): WriteContext["board"] =>
    (functionName, args, options) =>
      send({ address, abi, functionName, args }, options);
  return {
    reading,
    send,
    board: writer(addresses.jobBoard, jobBoardAbi),
    registry: writer(addresses.workerRegistry, workerRegistryAbi),
    ledger: writer(addresses.ledger, ledgerAbi),
  };
}

/**
 * Connects an account to SkyNet on a chain. The contracts need not be there yet: see `deploy` and `assertDeployed`.
 * @throws ChainUnreachable
 */
export async function createChain(options: ChainOptions): Promise<Chain> {
  const { rpcUrl } = options;
  const connection = await connect(rpcUrl, options.privateKey);
  const addresses = skynetAddresses();
  const chainId = connection.publicClient.chain.id;
  const address = lower(connection.account.address);
  const firstBlock = (await options.firstBlock?.(chainId)) ?? 0n;
  const reading: ReadContext = { connection, addresses, chainId, address, firstBlock };
  const forward = createForward(connection);
  const send = createSender(connection, forward);
  const writing = createWriteContext(reading, send);
  const reads = createReads(reading);
  const chain: Chain = {
    rpcUrl,
    firstBlock,
    chainId,
    address,
    addresses,
    deploy: async () => void (await connection.reach(() => deploySkyNet(connection))),
    assertDeployed: () => connection.reach(() => assertDeployed(connection.publicClient)),
    watch: ({ jobId, ...options }) => {
      const events = (range: BlockRange) => reads.events({ ...range, ...(jobId === undefined ? {} : { jobId }) });
      return watchEvents({ blockNumber: reads.blockNumber, events }, options);
    },
    catalog: createCatalog(reading, send),
    inference: createInferenceBoard(reading, send),
    relays: createRelayRegistry(reading, send),
    ...reads,
    ...createWorkerReads(reading),
    ...createProofReads(reading),
    ...createVerifierWrites(reading, send),
    ...createMoneyWrites(writing),
    ...createRequesterWrites(writing),
    ...createWorkerWrites(writing),
    ...createSigning(reading),
    ...createForwarding(reading, forward),
    signedForm: createSignedForms(reading, reads),
    routed: (routedSend) => {
      // every caller of a routed chain knows that there may be no receipt: see RoutedChain
      const routed = createWriteContext(reading, routedSend as Send);
      return { ...chain, ...createMoneyWrites(routed), ...createWorkerWrites(routed) };
    },
  };
  return chain;
}

/** Lower-case address of a 64-byte public key as the registry stores it. */
export function addressOfPublicKey(publicKey: Hex): Hex {
  return lower(publicKeyToAddress(`0x04${publicKey.slice(2)}`));
}
