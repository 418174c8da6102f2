import { verifierIdOf } from "@skynet/protocol";
import type { Hex, VerifierDescription } from "@skynet/protocol";
import {
  decodeFunctionData,
  getContractAddress,
  hexToString,
  keccak256,
  TransactionNotFoundError,
  TransactionReceiptNotFoundError,
  zeroAddress,
  zeroHash,
} from "viem";
import type { DecodeFunctionDataReturnType } from "viem";
import { lower } from "../deployment/addresses.ts";
import { ChainError } from "../errors.ts";
import { beaconAbi, jobBoardAbi, verifierRegistryAbi } from "./abi.ts";
import { lowerAddresses } from "./events.ts";
import type { ReadContext } from "./reads.ts";
import type { Send } from "./transactions.ts";
import type { Chain } from "./types.ts";
import type { ChainVerifier } from "./records.ts";

/** A call of the JobBoard as a transaction carried it; addresses are lower-case. */
export type BoardCall = DecodeFunctionDataReturnType<typeof jobBoardAbi>;

type ProofReads = Pick<
  Chain,
  | "verifierEntry"
  | "verify"
  | "statementFor"
  | "drawnSegments"
  | "beaconKind"
  | "beaconValue"
  | "transactionInput"
  | "gasUsed"
>;

/** What an RPC says about a transaction that it does not know. */
function unknownTransaction(error: unknown, hash: Hex): unknown {
  const missing = error instanceof TransactionNotFoundError || error instanceof TransactionReceiptNotFoundError;
  return missing ? new ChainError("UnknownTransaction", [hash], error) : error;
}

async function readVerifier({ connection, addresses }: ReadContext, verifierId: Hex): Promise<ChainVerifier> {
  const { verifier, since, ...entry } = await connection.reach(() =>
    connection.publicClient.readContract({
      address: addresses.verifierRegistry,
      abi: verifierRegistryAbi,
      functionName: "entry",
      args: [verifierId],
    }),
  );
  if (verifier === zeroAddress) throw new ChainError("UnknownVerifier", [verifierId]);
  return { ...lowerAddresses(entry), verifierId, at: lower(verifier), since: BigInt(since) };
}

/** The reading half of proof mode. */
export function createProofReads(context: ReadContext): ProofReads {
  const { connection, addresses } = context;
  const { publicClient, reach } = connection;
  const board = { address: addresses.jobBoard, abi: jobBoardAbi } as const;
  const registry = { address: addresses.verifierRegistry, abi: verifierRegistryAbi } as const;
  return {
    verifierEntry: (verifierId) => readVerifier(context, verifierId),
    verify: (verifierId, { context: statement, idIn, idOut, idData }, proof) => {
      const args = [verifierId, statement, idIn, idOut, idData, proof] as const;
      return reach(() => publicClient.readContract({ ...registry, functionName: "verify", args }));
    },
    statementFor: async (jobId, seat, step) => {
      const args = [jobId, BigInt(seat), BigInt(step)] as const;
      const [statement, batch] = await reach(() =>
        publicClient.readContract({ ...board, functionName: "statementFor", args }),
      );
      return { context: statement, batchIndex: batch };
    },
    drawnSegments: async (jobId, seat) => {
      const args = [jobId, BigInt(seat)] as const;
      const segments = await reach(() => publicClient.readContract({ ...board, functionName: "drawnSegments", args }));
      return segments.map(Number);
    },
    beaconKind: async (beacon) => {
      const kind = await reach(() =>
        publicClient.readContract({ address: beacon, abi: beaconAbi, functionName: "kind" }),
      );
      return hexToString(kind, { size: 32 }).replace(/\0+$/, "");
    },
    beaconValue: async (beacon, ticket) => {
      const value = await reach(() =>
        publicClient.readContract({ address: beacon, abi: beaconAbi, functionName: "value", args: [ticket] }),
      );
      return value === zeroHash ? undefined : value;
    },
    transactionInput: async (hash) => {
      try {
        const { to, input } = await reach(() => publicClient.getTransaction({ hash }));
        if (to === null || lower(to) !== addresses.jobBoard) return undefined;
        return lowerAddresses(decodeFunctionData({ abi: jobBoardAbi, data: input }));
      } catch (error) {
        throw unknownTransaction(error, hash);
      }
    },
    gasUsed: async (hash) => {
      try {
        return (await reach(() => publicClient.getTransactionReceipt({ hash }))).gasUsed;
      } catch (error) {
        throw unknownTransaction(error, hash);
      }
    },
  };
}

type VerifierWrites = Pick<Chain, "deployVerifier" | "registerVerifier">;

/** Only the fields of a description, in the form of the ABI. */
function describe({ kind, circuitHash, srsHash, weightsTag, weightBlocks }: VerifierDescription) {
  return { kind, circuitHash, srsHash, weightsTag, weightBlocks };
}

export function createVerifierWrites(context: ReadContext, send: Send): VerifierWrites {
  const { connection, addresses } = context;
  const { publicClient, reach } = connection;
  const registry = { address: addresses.verifierRegistry, abi: verifierRegistryAbi };

  const codehashAt = async (address: Hex): Promise<Hex | undefined> => {
    const code = await reach(() => publicClient.getCode({ address }));
    return code === undefined || code === "0x" ? undefined : keccak256(code);
  };
  const isRegistered = (verifierId: Hex) =>
    readVerifier(context, verifierId).then(
      () => true,
      (error: unknown) => {
        if (error instanceof ChainError && error.code === "UnknownVerifier") return false;
        throw error;
      },
    );

  return {
    deployVerifier: async (description, initcode, { source = "" } = {}, options) => {
      const at = lower(
        getContractAddress({
          opcode: "CREATE2",
          from: addresses.verifierRegistry,
          salt: description.circuitHash,
          bytecode: initcode,
        }),
      );
      const present = await codehashAt(at);
      if (present !== undefined) {
        const verifierId = verifierIdOf(description, present);
        if (await isRegistered(verifierId)) return { verifierId, at, receipt: undefined };
      }
      const args = [describe(description), initcode, source];
      const receipt = await send({ ...registry, functionName: "deploy", args }, options);
      const codehash = await codehashAt(at);
      if (codehash === undefined) throw new ChainError("CreationFailed");
      return { verifierId: verifierIdOf(description, codehash), at, receipt };
    },
    registerVerifier: async (description, at, { source = "" } = {}, options) => {
      const args = [describe(description), at, source];
      const receipt = await send({ ...registry, functionName: "register", args }, options);
      const codehash = await codehashAt(at);
      if (codehash === undefined) throw new ChainError("BadCode");
      return { verifierId: verifierIdOf(description, codehash), receipt };
    },
  };
}
