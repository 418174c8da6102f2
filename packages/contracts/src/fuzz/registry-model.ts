import type { Hex } from "@skynet/protocol";
import { keccak256, zeroAddress, zeroHash } from "viem";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { need, Table } from "./journal.ts";
import { accountOf, BURN } from "./ledger-model.ts";
import type { LedgerModel } from "./ledger-model.ts";
import { SignedActions } from "./signed-actions.ts";
import type { AuthorizationArgument } from "./signed-actions.ts";
import { checkSignature, digestOf, domainSeparator } from "./signing.ts";
import { answerOf, callOf, hashText, hashWords } from "./words.ts";

interface Worker {
  readonly payout: Hex;
  readonly since: number;
  readonly epoch: number;
}

interface Score {
  readonly roundsPaid: number;
  readonly roundsMissed: number;
  readonly proofs: number;
  readonly slashes: number;
  readonly jobs: number;
}

interface Stake {
  readonly free: bigint;
  readonly locked: bigint;
}

interface Exit {
  readonly amount: bigint;
  readonly due: number;
}

const NOBODY: Worker = { payout: zeroAddress, since: 0, epoch: 0 };
const NO_SCORE: Score = { roundsPaid: 0, roundsMissed: 0, proofs: 0, slashes: 0, jobs: 0 };
const REGISTER_TYPE = hashText("Register(address worker,address payout,bytes32 capsHash)");
const MAX_CAPABILITIES = 1024;

/** Address of the account with this public key of 64 bytes. */
const workerOf = (publicKey: Hex): Hex => `0x${keccak256(publicKey).slice(26)}`;
const byteLength = (hex: Hex) => (hex.length - 2) / 2;

/** Digest that a worker signs so that others can register it. */
export function registrationDigest(env: Environment, worker: Hex, payout: Hex, capabilities: Hex): Hex {
  const hash = hashWords(REGISTER_TYPE, worker, payout, keccak256(capabilities));
  return digestOf(domainSeparator(env.chainId, env.addresses.workerRegistry), hash);
}

/** Twin of `WorkerRegistry.sol` on a development chain, where stake is unbonded at once. */
export class RegistryModel {
  readonly workers: Table<Worker>;
  readonly scores: Table<Score>;
  readonly capabilities: Table<Hex>;
  readonly stakes: Table<Stake>;
  readonly exits: Table<Exit>;
  readonly actions: SignedActions;
  readonly #env: Environment;
  readonly #ledger: LedgerModel;
  /** Account of all stakes. */
  readonly account: Hex;

  constructor(env: Environment, journal: Journal, ledger: LedgerModel) {
    this.#env = env;
    this.#ledger = ledger;
    this.account = env.escrow("workerRegistry", zeroHash);
    const to = env.addresses.workerRegistry;
    this.actions = new SignedActions(env, journal, "workerRegistry");
    this.workers = new Table(journal, "workers", NOBODY, ([worker], { payout, since, epoch }) => ({
      to,
      data: callOf("workers(address)", worker as Hex),
      answer: answerOf(payout, since, epoch),
    }));
    this.scores = new Table(journal, "scores", NO_SCORE, ([worker], s) => ({
      to,
      data: callOf("scores(address)", worker as Hex),
      answer: answerOf(s.roundsPaid, s.roundsMissed, s.proofs, s.slashes, s.jobs),
    }));
    this.capabilities = new Table<Hex>(journal, "capabilities", zeroHash, ([worker], hash) => ({
      to,
      data: callOf("capabilitiesHash(address)", worker as Hex),
      answer: answerOf(hash),
    }));
    this.stakes = new Table(journal, "stakes", { free: 0n, locked: 0n }, ([worker, token], { free, locked }) => ({
      to,
      data: callOf("stakes(address,address)", worker as Hex, token as Hex),
      answer: answerOf(free, locked),
    }));
    this.exits = new Table(journal, "exits", { amount: 0n, due: 0 }, ([worker, token], { amount, due }) => ({
      to,
      data: callOf("exits(address,address)", worker as Hex, token as Hex),
      answer: answerOf(amount, due),
    }));
  }

  isRegistered(worker: Hex): boolean {
    return this.workers.get(worker).payout !== zeroAddress;
  }

  // What only the JobBoard does.

  lock(worker: Hex, token: Hex, amount: bigint): Worker {
    need(this.isRegistered(worker), "NotRegistered");
    this.#takeFree(worker, token, amount);
    const stake = this.stakes.get(worker, token);
    this.stakes.set([worker, token], { ...stake, locked: stake.locked + amount });
    return this.workers.get(worker);
  }

  unlock(worker: Hex, token: Hex, amount: bigint): void {
    const { free, locked } = this.stakes.get(worker, token);
    this.stakes.set([worker, token], { free: free + amount, locked: locked - amount });
    this.count(worker, "jobs");
  }

  slash(token: Hex, cuts: readonly { worker: Hex; amount: bigint }[], audit: boolean): void {
    for (const { worker, amount } of cuts) {
      const stake = this.stakes.get(worker, token);
      this.stakes.set([worker, token], { ...stake, locked: stake.locked - amount });
      this.count(worker, audit ? "slashes" : "roundsMissed");
      this.#ledger.move(token, this.account, BURN, amount);
    }
  }

  count(worker: Hex, counter: keyof Score, by = 1): void {
    const score = this.scores.get(worker);
    this.scores.set([worker], { ...score, [counter]: score[counter] + by });
  }

  readonly calls = {
    register: (from: Hex, publicKey: Hex, payout: Hex, capabilities: Hex): void => {
      need(byteLength(publicKey) === 64 && workerOf(publicKey) === from, "BadPubkey");
      this.#enroll(from, payout, capabilities);
    },
    registerFor: (_: Hex, publicKey: Hex, payout: Hex, capabilities: Hex, signature: Hex): void => {
      need(byteLength(publicKey) === 64, "BadPubkey");
      const worker = workerOf(publicKey);
      checkSignature(worker, registrationDigest(this.#env, worker, payout, capabilities), signature);
      this.#enroll(worker, payout, capabilities);
    },
    setCapabilities: (from: Hex, capabilities: Hex): void => {
      need(this.isRegistered(from), "NotRegistered");
      this.#setCapabilities(from, capabilities);
    },
    setPayout: (from: Hex, worker: Hex, payout: Hex): void => {
      need(from === this.workers.get(worker).payout, "NotPayout");
      need(payout !== zeroAddress, "BadPayout");
      this.workers.set([worker], { ...this.workers.get(worker), payout });
    },
    addStake: (from: Hex, token: Hex, worker: Hex, amount: bigint): void => {
      need(this.isRegistered(worker), "NotRegistered");
      need(amount > 0n, "ZeroAmount");
      this.#ledger.move(token, accountOf(from), this.account, amount);
      const stake = this.stakes.get(worker, token);
      this.stakes.set([worker, token], { ...stake, free: stake.free + amount });
    },
    beginUnstake: (from: Hex, token: Hex, worker: Hex, amount: bigint): void => {
      this.#needOwner(from, worker);
      need(amount > 0n, "ZeroAmount");
      this.#takeFree(worker, token, amount);
      const leaving = this.exits.get(worker, token).amount + amount;
      this.exits.set([worker, token], { amount: leaving, due: this.#env.now });
    },
    finishUnstake: (_: Hex, token: Hex, worker: Hex): void => {
      const { amount } = this.exits.get(worker, token);
      need(amount > 0n, "ZeroAmount");
      this.exits.set([worker, token], { amount: 0n, due: 0 });
      this.#ledger.move(token, this.account, accountOf(this.workers.get(worker).payout), amount);
    },
    bumpEpoch: (from: Hex, worker: Hex): void => {
      this.#needOwner(from, worker);
      const known = this.workers.get(worker);
      this.workers.set([worker], { ...known, epoch: known.epoch + 1 });
    },
    setCapabilitiesFor: (_: Hex, capabilities: Hex, by: AuthorizationArgument): void => {
      const signer = this.actions.consume("Capabilities", by, keccak256(capabilities));
      this.calls.setCapabilities(signer, capabilities);
    },
    setPayoutFor: (_: Hex, worker: Hex, payout: Hex, by: AuthorizationArgument): void => {
      this.calls.setPayout(this.actions.consume("Payout", by, worker, payout), worker, payout);
    },
    addStakeFor: (_: Hex, token: Hex, worker: Hex, amount: bigint, by: AuthorizationArgument): void => {
      this.calls.addStake(this.actions.consume("Stake", by, token, worker, amount), token, worker, amount);
    },
    beginUnstakeFor: (_: Hex, token: Hex, worker: Hex, amount: bigint, by: AuthorizationArgument): void => {
      this.calls.beginUnstake(this.actions.consume("Unstake", by, token, worker, amount), token, worker, amount);
    },
    bumpEpochFor: (_: Hex, worker: Hex, by: AuthorizationArgument): void => {
      this.calls.bumpEpoch(this.actions.consume("Epoch", by, worker), worker);
    },
    lock: (): void => need(false, "NotJobBoard"),
    unlock: (): void => need(false, "NotJobBoard"),
    slash: (): void => need(false, "NotJobBoard"),
    recordPaid: (): void => need(false, "NotJobBoard"),
    recordProof: (): void => need(false, "NotJobBoard"),
  };

  #enroll(worker: Hex, payout: Hex, capabilities: Hex): void {
    need(!this.isRegistered(worker), "AlreadyRegistered");
    need(payout !== zeroAddress, "BadPayout");
    this.workers.set([worker], { payout, since: this.#env.block, epoch: 0 });
    this.#setCapabilities(worker, capabilities);
  }

  #setCapabilities(worker: Hex, capabilities: Hex): void {
    need(byteLength(capabilities) <= MAX_CAPABILITIES, "CapabilitiesTooLong");
    this.capabilities.set([worker], keccak256(capabilities));
  }

  #takeFree(worker: Hex, token: Hex, amount: bigint): void {
    const stake = this.stakes.get(worker, token);
    need(stake.free >= amount, "InsufficientStake", stake.free, amount);
    this.stakes.set([worker, token], { ...stake, free: stake.free - amount });
  }

  #needOwner(from: Hex, worker: Hex): void {
    need(this.isRegistered(worker), "NotRegistered");
    need(from === worker || from === this.workers.get(worker).payout, "NotPayout");
  }
}
