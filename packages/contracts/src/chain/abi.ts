import type { Abi, AbiParameter } from "viem";
import { abi as jobBoardAbi } from "../../generated/JobBoard.ts";
import { abi as jobMachineAbi } from "../../generated/JobMachine.ts";
import { abi as ledgerAbi } from "../../generated/Ledger.ts";
import { abi as tokenAbi } from "../../generated/TestToken.ts";
import { abi as workerRegistryAbi } from "../../generated/WorkerRegistry.ts";

export { jobBoardAbi, jobMachineAbi, ledgerAbi, tokenAbi, workerRegistryAbi };

interface AbiError {
  readonly type: "error";
  readonly name: string;
  readonly inputs: readonly AbiParameter[];
}

const isError = (item: { readonly type: string }): item is AbiError => item.type === "error";

/** Every custom error that a call may surface, whichever contract raised it. */
export const errorsAbi: Abi = [
  ...jobBoardAbi,
  ...jobMachineAbi,
  ...ledgerAbi,
  ...workerRegistryAbi,
  ...tokenAbi,
].filter(isError);
