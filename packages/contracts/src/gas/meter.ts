import type { Abi, TransactionReceipt } from "viem";
import {
  catalogAbi,
  inferenceBoardAbi,
  jobBoardAbi,
  ledgerAbi,
  relayRegistryAbi,
  verifierRegistryAbi,
  workerRegistryAbi,
} from "../chain/abi.ts";
import { abi as deployerAbi } from "../../generated/Deployer.ts";

/** No function may need more, at the caps of the specification. */
export const GAS_LIMIT = 10_000_000n;

/** Gas of one transaction, the base price of 21,000 and the calldata included. */
export interface GasRow {
  readonly contract: string;
  readonly functionName: string;
  /** What was done, and how large. */
  readonly situation: string;
  readonly gas: bigint;
}

const contracts: Readonly<Record<string, Abi>> = {
  Ledger: ledgerAbi,
  WorkerRegistry: workerRegistryAbi,
  VerifierRegistry: verifierRegistryAbi,
  JobBoard: jobBoardAbi,
  Catalog: catalogAbi,
  InferenceBoard: inferenceBoardAbi,
  RelayRegistry: relayRegistryAbi,
  Deployer: deployerAbi,
};

/** Functions that only other contracts of SkyNet call; their gas is part of the calls that lead to them. */
const INTERNAL = new Set([
  "Ledger.move",
  "Ledger.pull",
  "WorkerRegistry.lock",
  "WorkerRegistry.unlock",
  "WorkerRegistry.slash",
  "WorkerRegistry.recordPaid",
  "WorkerRegistry.recordProof",
]);

/** Everything that an account can send to the contracts. */
export function externalFunctions(): string[] {
  return Object.entries(contracts).flatMap(([contract, abi]) =>
    abi.flatMap((item) => {
      if (item.type !== "function" || item.stateMutability === "view" || item.stateMutability === "pure") return [];
      const name = `${contract}.${item.name}`;
      return INTERNAL.has(name) ? [] : [name];
    }),
  );
}

/** Collects what transactions used. */
export class GasMeter {
  readonly rows: GasRow[] = [];

  /** @param name `Contract.function` */
  note(name: string, situation: string, { gasUsed, status }: Pick<TransactionReceipt, "gasUsed" | "status">): void {
    if (status !== "success") throw new Error(`${name} (${situation}) failed`);
    const [contract, functionName] = name.split(".") as [string, string];
    this.rows.push({ contract, functionName, situation, gas: gasUsed });
  }

  /** Waits for a transaction and notes it. */
  async take(name: string, situation: string, sent: Promise<TransactionReceipt>): Promise<void> {
    this.note(name, situation, await sent);
  }
}
