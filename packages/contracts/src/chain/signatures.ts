import type { Hex } from "@skynet/protocol";
import { hashTypedData, recoverTypedDataAddress } from "viem";
import type { LocalAccount } from "viem";
import { InvalidInputError } from "@skynet/protocol";
import { lower } from "../deployment/addresses.ts";

/** EIP-712 messages of a job; the Solidity side is `JobHashes.sol`. */
export const jobMessageTypes = {
  Accept: [
    { name: "jobId", type: "bytes32" },
    { name: "worker", type: "address" },
    { name: "minPrice", type: "uint128" },
    { name: "expiry", type: "uint64" },
    { name: "epoch", type: "uint32" },
  ],
  Admit: [
    { name: "jobId", type: "bytes32" },
    { name: "worker", type: "address" },
    { name: "expiry", type: "uint64" },
  ],
  Ready: [
    { name: "jobId", type: "bytes32" },
    { name: "keyRef", type: "bytes32" },
  ],
  Commit: [
    { name: "jobId", type: "bytes32" },
    { name: "round", type: "uint16" },
    { name: "idEnd", type: "bytes32" },
    { name: "stepsRoot", type: "bytes32" },
  ],
  Attest: [
    { name: "jobId", type: "bytes32" },
    { name: "round", type: "uint16" },
    { name: "received", type: "uint256" },
    { name: "idNext", type: "bytes32" },
  ],
  Abstain: [
    { name: "jobId", type: "bytes32" },
    { name: "round", type: "uint16" },
  ],
  Leave: [
    { name: "jobId", type: "bytes32" },
    { name: "round", type: "uint16" },
  ],
} as const;

/** Contents of the messages. `expiry` is unix seconds; `received` and included sets are bitmaps of seats. */
export interface JobMessages {
  readonly Accept: {
    readonly jobId: Hex;
    readonly worker: Hex;
    readonly minPrice: bigint;
    readonly expiry: bigint;
    readonly epoch: number;
  };
  readonly Admit: { readonly jobId: Hex; readonly worker: Hex; readonly expiry: bigint };
  readonly Ready: { readonly jobId: Hex; readonly keyRef: Hex };
  readonly Commit: { readonly jobId: Hex; readonly round: number; readonly idEnd: Hex; readonly stepsRoot: Hex };
  /** `idNext` is zero while the round is attested, and the next model's id when its merge is signed. */
  readonly Attest: { readonly jobId: Hex; readonly round: number; readonly received: bigint; readonly idNext: Hex };
  readonly Abstain: { readonly jobId: Hex; readonly round: number };
  readonly Leave: { readonly jobId: Hex; readonly round: number };
}

export type JobMessageKind = keyof JobMessages;

/** Chain and board that signatures are valid for. */
export interface JobDomain {
  readonly chainId: number;
  readonly jobBoard: Hex;
}

function typedData<Kind extends JobMessageKind>(domain: JobDomain, kind: Kind, message: JobMessages[Kind]) {
  return {
    domain: { name: "SkyNet", version: "1", chainId: domain.chainId, verifyingContract: domain.jobBoard },
    types: jobMessageTypes as Record<string, readonly { name: string; type: string }[]>,
    primaryType: kind as string,
    message: message as Record<string, unknown>,
  };
}

/** 32-byte digest that is signed. */
export function hashJobMessage<Kind extends JobMessageKind>(
  domain: JobDomain,
  kind: Kind,
  message: JobMessages[Kind],
): Hex {
  return hashTypedData(typedData(domain, kind, message));
}

export function signJobMessage<Kind extends JobMessageKind>(
  account: LocalAccount,
  domain: JobDomain,
  kind: Kind,
  message: JobMessages[Kind],
): Promise<Hex> {
  return account.signTypedData(typedData(domain, kind, message));
}

const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

/** The one form that the contracts accept: 65 bytes, s in the lower half, v 27 or 28. */
export function isCanonical(signature: Hex): boolean {
  if (!/^0x[0-9a-fA-F]{128}1[bcBC]$/.test(signature)) return false;
  return BigInt(`0x${signature.slice(66, 130)}`) <= HALF_ORDER;
}

/**
 * Lower-case address of the key that signed. Contract wallets (ERC-1271) cannot be recovered this way.
 * @throws InvalidInputError `BadSignature` when the bytes are no signature
 */
export async function recoverJobMessage<Kind extends JobMessageKind>(
  domain: JobDomain,
  kind: Kind,
  message: JobMessages[Kind],
  signature: Hex,
): Promise<Hex> {
  if (!isCanonical(signature)) throw new InvalidInputError("BadSignature", "not a signature in canonical form");
  try {
    return lower(await recoverTypedDataAddress({ ...typedData(domain, kind, message), signature }));
  } catch (cause) {
    throw new InvalidInputError("BadSignature", `not a signature of a ${kind} message`, { cause });
  }
}
