import type { Hex } from "@skynet/protocol";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { need, Table } from "./journal.ts";
import { SignedActions } from "./signed-actions.ts";
import type { AuthorizationArgument } from "./signed-actions.ts";
import { answerOf, callOf, hexWord } from "./words.ts";

/** Money that belongs to nobody. */
export const BURN: Hex = `0x${hexWord(0xdead)}`;

const MAX_AMOUNT = 1n << 120n;
const MAX_UINT = (1n << 256n) - 1n;

/** Name of a user's account. */
export const accountOf = (owner: Hex): Hex => `0x${hexWord(owner)}`;

/** The test tokens, as far as the Ledger uses them. */
export class TokenModel {
  readonly balances: Table<bigint>;
  readonly allowances: Table<bigint>;
  readonly #env: Environment;

  constructor(env: Environment, journal: Journal) {
    this.#env = env;
    this.balances = new Table(journal, "token", 0n, ([token, owner], value) => ({
      to: token as Hex,
      data: callOf("balanceOf(address)", owner as Hex),
      answer: answerOf(value),
    }));
    this.allowances = new Table(journal, "allowance", 0n, ([token, owner], value) => ({
      to: token as Hex,
      data: callOf("allowance(address,address)", owner as Hex, env.addresses.ledger),
      answer: answerOf(value),
    }));
  }

  mint(token: Hex, to: Hex, amount: bigint): void {
    this.balances.set([token, to], this.balances.get(token, to) + amount);
  }

  /** What `owner` lets the Ledger take. */
  approve(token: Hex, owner: Hex, amount: bigint): void {
    this.allowances.set([token, owner], amount);
  }

  /** `transferFrom` by the Ledger. */
  pull(token: Hex, from: Hex, amount: bigint): void {
    const { ledger } = this.#env.addresses;
    const allowance = this.allowances.get(token, from);
    if (allowance !== MAX_UINT) {
      need(allowance >= amount, "ERC20InsufficientAllowance", ledger, allowance, amount);
      this.approve(token, from, allowance - amount);
    }
    this.transfer(token, from, ledger, amount);
  }

  transfer(token: Hex, from: Hex, to: Hex, amount: bigint): void {
    const available = this.balances.get(token, from);
    need(BigInt(to) !== 0n, "ERC20InvalidReceiver", to);
    need(available >= amount, "ERC20InsufficientBalance", from, available, amount);
    this.balances.set([token, from], available - amount);
    this.mint(token, to, amount);
  }
}

/** Twin of `Ledger.sol`. */
export class LedgerModel {
  readonly balances: Table<bigint>;
  readonly totals: Table<bigint>;
  readonly actions: SignedActions;
  readonly #tokens: TokenModel;
  readonly #ledger: Hex;

  constructor(env: Environment, journal: Journal, tokens: TokenModel) {
    this.#tokens = tokens;
    const to = env.addresses.ledger;
    this.#ledger = to;
    this.actions = new SignedActions(env, journal, "ledger");
    this.balances = new Table(journal, "ledger", 0n, ([token, account], value) => ({
      to,
      data: callOf("balance(address,bytes32)", token as Hex, account as Hex),
      answer: answerOf(value),
    }));
    this.totals = new Table(journal, "total", 0n, ([token], value) => ({
      to,
      data: callOf("total(address)", token as Hex),
      answer: answerOf(value),
    }));
  }

  /** Balance of a user. */
  of(token: Hex, owner: Hex): bigint {
    return this.balances.get(token, accountOf(owner));
  }

  /** Between accounts; the callers are the modules. */
  move(token: Hex, from: Hex, to: Hex, amount: bigint): void {
    this.#take(token, from, amount);
    this.balances.set([token, to], this.balances.get(token, to) + amount);
  }

  readonly calls = {
    deposit: (from: Hex, token: Hex, to: Hex, amount: bigint): void => {
      need(amount > 0n, "ZeroAmount");
      need(amount <= MAX_AMOUNT, "BadAmount");
      this.#tokens.pull(token, from, amount);
      const account = accountOf(to);
      this.balances.set([token, account], this.balances.get(token, account) + amount);
      this.totals.set([token], this.totals.get(token) + amount);
    },
    // a puppet has no key, so its permits always fail, and the deposit goes on
    depositWithPermit: (from: Hex, token: Hex, to: Hex, amount: bigint): void => {
      this.calls.deposit(from, token, to, amount);
    },
    depositFor: (_: Hex, token: Hex, to: Hex, amount: bigint, _permit: object, by: AuthorizationArgument): void => {
      this.calls.deposit(this.actions.consume("Deposit", by, token, to, amount), token, to, amount);
    },
    withdraw: (from: Hex, token: Hex, to: Hex, amount: bigint): void => this.#pay(token, from, to, amount),
    withdrawFor: (_: Hex, token: Hex, owner: Hex): void => this.#pay(token, owner, owner, this.of(token, owner)),
    move: (): void => need(false, "NotModule"),
    pull: (): void => need(false, "NotModule"),
  };

  #pay(token: Hex, owner: Hex, to: Hex, amount: bigint): void {
    need(amount > 0n, "ZeroAmount");
    this.#take(token, accountOf(owner), amount);
    this.totals.set([token], this.totals.get(token) - amount);
    this.#tokens.transfer(token, this.#ledger, to, amount);
  }

  #take(token: Hex, account: Hex, amount: bigint): void {
    const available = this.balances.get(token, account);
    need(available >= amount, "InsufficientBalance", available, amount);
    this.balances.set([token, account], available - amount);
  }
}
