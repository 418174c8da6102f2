import {
  addressOfPublicKey,
  recoverAccountMessage,
  recoverJobMessage,
  type AccountMessageKind,
  type Chain,
  type ChainJob,
  type JobMessageKind,
  type JobMessages,
  type SignedCommitment,
} from "@skynet/contracts";
import { toHex, fromHex, keccak256, type Hex } from "@skynet/protocol";
import { ZERO_32 } from "@skynet/swarm";
import { rowsOf, type SponsorCall } from "./calls.ts";
import { SponsorError } from "./errors.ts";

/** A signature in a call: of whom it has to be, and of whom it is. */
interface Signed {
  readonly by: Hex | undefined;
  readonly recovered: Promise<Hex>;
}

interface Authorization {
  readonly signer: Hex;
  readonly nonce: bigint;
  readonly expiry: bigint;
  readonly signature: Hex;
}

type Context = { readonly chain: Pick<Chain, "chainId" | "addresses">; readonly job: ChainJob };
type Args = readonly never[];

/**
 * Checks the signatures of the job's seats and of accounts here, before the chain is asked: only plain ones of keys
 * are taken, so that no contract's code runs at the sponsor's cost.
 * @throws SponsorError `BadSignature`
 */
export async function checkSignatures(context: Context, call: SponsorCall): Promise<void> {
  for (const { by, recovered } of signedOf(context, call)) {
    const signer = await recovered.catch(() => undefined);
    if (by === undefined || signer !== by.toLowerCase())
      throw new SponsorError("BadSignature", `a signature in the call is not of ${by ?? "a seat of the job"}`);
  }
}

function signedOf(context: Context, call: SponsorCall): Signed[] {
  if (call.functionName === "registerFor") return [ofRegistration(context, call)];
  const kind = accountKinds[call.functionName];
  if (kind !== undefined) return [ofAccount(context, call, kind)];
  return ofSeats(context, call);
}

function ofRegistration({ chain }: Context, { args }: SponsorCall): Signed {
  const [publicKey, payout, capabilities, signature] = args as [Hex, Hex, Hex, Hex];
  const by = publicKey.length === 130 ? addressOfPublicKey(publicKey) : undefined;
  const domain = { chainId: chain.chainId, contract: chain.addresses.workerRegistry };
  const message = { worker: by, payout, capsHash: hashOf(capabilities) };
  return { by, recovered: recoverAccountMessage(domain, "Register", message, signature) };
}

const hashOf = (bytes: Hex): Hex => toHex(keccak256(fromHex(bytes)));

interface AccountKind {
  readonly kind: AccountMessageKind;
  /** Fields of the message besides signer, nonce and expiry. */
  readonly fields: (args: Args, signer: Hex) => Record<string, unknown>;
}

const stakeFields = ([token, worker, amount]: Args) => ({ token, worker, amount });

/** Actions that an account authorises as the last argument of the call. */
const accountKinds: Readonly<Record<string, AccountKind>> = {
  setCapabilitiesFor: {
    kind: "Capabilities",
    fields: ([capabilities], worker) => ({ worker, capsHash: hashOf(capabilities!) }),
  },
  setPayoutFor: { kind: "Payout", fields: ([worker, payout]) => ({ worker, payout }) },
  addStakeFor: { kind: "Stake", fields: stakeFields },
  beginUnstakeFor: { kind: "Unstake", fields: stakeFields },
  bumpEpochFor: { kind: "Epoch", fields: ([worker]) => ({ worker }) },
  depositFor: { kind: "Deposit", fields: ([token, to, amount]) => ({ token, to, amount }) },
};

/** The account that has signed the call as its last argument; undefined when it is no such call. */
export function authorizationOf({ functionName, args }: SponsorCall): Authorization | undefined {
  return functionName in accountKinds ? (args.at(-1) as Authorization) : undefined;
}

function ofAccount({ chain }: Context, call: SponsorCall, { kind, fields }: AccountKind): Signed {
  const { signer, nonce, expiry, signature } = authorizationOf(call)!;
  const domain = { chainId: chain.chainId, contract: chain.addresses[call.contract] };
  const message = { signer, ...fields(call.args as Args, signer), nonce, expiry };
  return { by: signer, recovered: recoverAccountMessage(domain, kind, message, signature) };
}

function ofSeats({ chain, job }: Context, call: SponsorCall): Signed[] {
  const { jobId, state } = job;
  const { round } = state;
  const domain = { chainId: chain.chainId, jobBoard: chain.addresses.jobBoard };
  const signed = <Kind extends JobMessageKind>(
    by: Hex | undefined,
    kind: Kind,
    message: JobMessages[Kind],
    signature: unknown,
  ) => ({ by, recovered: recoverJobMessage(domain, kind, message, signature as Hex) });
  const seat = (index: unknown): Hex | undefined => state.workers[Number(index)];
  const rows = <Row extends readonly unknown[]>() => rowsOf(call) as unknown as readonly Row[];
  switch (call.functionName) {
    case "joinFor":
      return rows<[Omit<JobMessages["Accept"], "jobId">, Hex]>().map(([acceptance, signature]) => {
        const message = { ...acceptance, jobId };
        return signed(message.worker, "Accept", message, signature);
      });
    case "ready":
      return rows<[bigint, Hex]>().map(([index, signature]) =>
        signed(seat(index), "Ready", { jobId, keyRef: call.args[1] as Hex }, signature),
      );
    case "commitFor":
      return rows<[SignedCommitment, Hex]>().map(([{ seat: index, idEnd, stepsRoot }, signature]) => {
        return signed(seat(index), "Commit", { jobId, round, idEnd, stepsRoot }, signature);
      });
    case "attest":
      return rows<[number, bigint, Hex]>().map(([index, received, signature]) => {
        const message = { jobId, round, received, idNext: ZERO_32 };
        return signed(seat(index), "Attest", message, signature);
      });
    case "abstainFor": {
      const [, named, index, signature] = call.args as [Hex, number, bigint, Hex];
      return [signed(seat(index), "Abstain", { jobId, round: named }, signature)];
    }
    case "leaveFor": {
      const [, index, signature] = call.args as [Hex, bigint, Hex];
      return [signed(seat(index), "Leave", { jobId, round }, signature)];
    }
    default:
      return [];
  }
}
