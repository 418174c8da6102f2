import type { Hex } from "@skynet/protocol";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { need, Table } from "./journal.ts";
import { checkSignature, digestOf, domainSeparator } from "./signing.ts";
import { answerOf, callOf, hashText, hashWords } from "./words.ts";
import type { Word } from "./words.ts";

export interface AuthorizationArgument {
  readonly signer: Hex;
  readonly nonce: bigint;
  readonly expiry: bigint;
  readonly signature: Hex;
}

const account = "uint256 nonce,uint64 expiry)";
const types = {
  Deposit: hashText(`Deposit(address signer,address token,address to,uint256 amount,${account}`),
  Capabilities: hashText(`Capabilities(address worker,bytes32 capsHash,${account}`),
  Payout: hashText(`Payout(address signer,address worker,address payout,${account}`),
  Stake: hashText(`Stake(address signer,address token,address worker,uint128 amount,${account}`),
  Unstake: hashText(`Unstake(address signer,address token,address worker,uint128 amount,${account}`),
  Epoch: hashText(`Epoch(address signer,address worker,${account}`),
} as const;

export type ActionKind = keyof typeof types;

/** Twin of `SignedActions.sol`: nonces and signatures of one contract. */
export class SignedActions {
  readonly nonces: Table<bigint>;
  readonly #env: Environment;
  readonly #domain: Hex;

  constructor(env: Environment, journal: Journal, contract: "ledger" | "workerRegistry") {
    this.#env = env;
    const to = env.addresses[contract];
    this.#domain = domainSeparator(env.chainId, to);
    this.nonces = new Table(journal, `nonces of ${contract}`, 0n, ([owner], nonce) => ({
      to,
      data: callOf("nonces(address)", owner as Hex),
      answer: answerOf(nonce),
    }));
  }

  /** What the signer signs; the values are those of the type between signer and nonce. */
  digest(kind: ActionKind, by: Omit<AuthorizationArgument, "signature">, ...values: readonly Word[]): Hex {
    return digestOf(this.#domain, hashWords(types[kind], by.signer, ...values, by.nonce, by.expiry));
  }

  consume(kind: ActionKind, by: AuthorizationArgument, ...values: readonly Word[]): Hex {
    need(BigInt(this.#env.now) <= by.expiry, "SignatureExpired");
    const expected = this.nonces.get(by.signer);
    need(by.nonce === expected, "BadNonce", expected);
    this.nonces.set([by.signer], expected + 1n);
    checkSignature(by.signer, this.digest(kind, by, ...values), by.signature);
    return by.signer;
  }
}
