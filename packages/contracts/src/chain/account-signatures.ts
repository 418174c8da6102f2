import { InvalidInputError } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { hashTypedData, recoverTypedDataAddress } from "viem";
import type { LocalAccount } from "viem";
import { lower } from "../deployment/addresses.ts";
import { isCanonical } from "./signatures.ts";

const once = [
  { name: "nonce", type: "uint256" },
  { name: "expiry", type: "uint64" },
] as const;

/**
 * EIP-712 messages of an account: `Deposit` is for the Ledger, the others are for the WorkerRegistry. All but `Register`,
 * which works once by itself, name the signer's next nonce and the last second in which they are valid.
 */
export const accountMessageTypes = {
  Register: [
    { name: "worker", type: "address" },
    { name: "payout", type: "address" },
    { name: "capsHash", type: "bytes32" },
  ],
  Capabilities: [{ name: "worker", type: "address" }, { name: "capsHash", type: "bytes32" }, ...once],
  Payout: [
    { name: "signer", type: "address" },
    { name: "worker", type: "address" },
    { name: "payout", type: "address" },
    ...once,
  ],
  Stake: [
    { name: "signer", type: "address" },
    { name: "token", type: "address" },
    { name: "worker", type: "address" },
    { name: "amount", type: "uint128" },
    ...once,
  ],
  Unstake: [
    { name: "signer", type: "address" },
    { name: "token", type: "address" },
    { name: "worker", type: "address" },
    { name: "amount", type: "uint128" },
    ...once,
  ],
  Epoch: [{ name: "signer", type: "address" }, { name: "worker", type: "address" }, ...once],
  Deposit: [
    { name: "signer", type: "address" },
    { name: "token", type: "address" },
    { name: "to", type: "address" },
    { name: "amount", type: "uint256" },
    ...once,
  ],
} as const;

export type AccountMessageKind = keyof typeof accountMessageTypes;

/** Chain and contract that a signature is valid for. */
export interface AccountDomain {
  readonly chainId: number;
  readonly contract: Hex;
}

function typedData(domain: AccountDomain, kind: AccountMessageKind, message: Readonly<Record<string, unknown>>) {
  return {
    domain: { name: "SkyNet", version: "1", chainId: domain.chainId, verifyingContract: domain.contract },
    types: accountMessageTypes as Record<string, readonly { name: string; type: string }[]>,
    primaryType: kind as string,
    message,
  };
}

/** 32-byte digest that is signed. */
export function hashAccountMessage(
  domain: AccountDomain,
  kind: AccountMessageKind,
  message: Readonly<Record<string, unknown>>,
): Hex {
  return hashTypedData(typedData(domain, kind, message));
}

export function signAccountMessage(
  account: LocalAccount,
  domain: AccountDomain,
  kind: AccountMessageKind,
  message: Readonly<Record<string, unknown>>,
): Promise<Hex> {
  return account.signTypedData(typedData(domain, kind, message));
}

/**
 * Lower-case address of the key that signed.
 * @throws InvalidInputError `BadSignature` when the bytes are no signature
 */
export async function recoverAccountMessage(
  domain: AccountDomain,
  kind: AccountMessageKind,
  message: Readonly<Record<string, unknown>>,
  signature: Hex,
): Promise<Hex> {
  if (!isCanonical(signature)) throw new InvalidInputError("BadSignature", "not a signature in canonical form");
  try {
    return lower(await recoverTypedDataAddress({ ...typedData(domain, kind, message), signature }));
  } catch (cause) {
    throw new InvalidInputError("BadSignature", `not a signature of a ${kind} message`, { cause });
  }
}
