// EIP-712 digests of the messages of a job, and the signatures of puppets.
import type { Hex } from "@skynet/protocol";
import { need } from "./journal.ts";
import { hashHex, hashText, hashWords, puppetSignature, words } from "./words.ts";
import type { Word } from "./words.ts";

const DOMAIN_TYPE = hashText("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
const NAME = hashText("SkyNet");
const VERSION = hashText("1");

export const domainSeparator = (chainId: number, contract: Hex): Hex =>
  hashWords(DOMAIN_TYPE, NAME, VERSION, chainId, contract);

export const digestOf = (domain: Hex, structHash: Hex): Hex => hashHex("1901", words(domain, structHash));

const types = {
  Accept: hashText("Accept(bytes32 jobId,address worker,uint128 minPrice,uint64 expiry,uint32 epoch)"),
  Admit: hashText("Admit(bytes32 jobId,address worker,uint64 expiry)"),
  Ready: hashText("Ready(bytes32 jobId,bytes32 keyRef)"),
  Commit: hashText("Commit(bytes32 jobId,uint16 round,bytes32 idEnd,bytes32 stepsRoot)"),
  Attest: hashText("Attest(bytes32 jobId,uint16 round,uint256 received,bytes32 idNext)"),
  Abstain: hashText("Abstain(bytes32 jobId,uint16 round)"),
  Leave: hashText("Leave(bytes32 jobId,uint16 round)"),
} as const;

export type MessageKind = keyof typeof types;

/** Digest of a message with the values of its type in their order. */
export function messageDigest(domain: Hex, kind: MessageKind, ...values: readonly Word[]): Hex {
  return digestOf(domain, hashWords(types[kind], ...values));
}

/** @throws Refusal unless the puppet signed the digest */
export function checkSignature(signer: Hex, digest: Hex, signature: Hex): void {
  need(signature === puppetSignature(signer, digest), "BadSignature", signer);
}
