import type { Abi, AbiParameter } from "viem";
import { abi as beaconAbi } from "../../generated/BlockhashBeacon.ts";
import { abi as catalogAbi } from "../../generated/Catalog.ts";
import { abi as deployerAbi } from "../../generated/Deployer.ts";
import { abi as inferenceBoardAbi } from "../../generated/InferenceBoard.ts";
import { abi as jobBoardAbi } from "../../generated/JobBoard.ts";
import { abi as jobMachineAbi } from "../../generated/JobMachine.ts";
import { abi as jobMergeAbi } from "../../generated/JobMerge.ts";
import { abi as jobProofsAbi } from "../../generated/JobProofs.ts";
import { abi as ledgerAbi } from "../../generated/Ledger.ts";
import { abi as relayRegistryAbi } from "../../generated/RelayRegistry.ts";
import { abi as testBeaconAbi } from "../../generated/TestBeacon.ts";
import { abi as tokenAbi } from "../../generated/TestToken.ts";
import { abi as verifierRegistryAbi } from "../../generated/VerifierRegistry.ts";
import { abi as workerRegistryAbi } from "../../generated/WorkerRegistry.ts";

export {
  beaconAbi,
  catalogAbi,
  inferenceBoardAbi,
  jobBoardAbi,
  jobMachineAbi,
  ledgerAbi,
  relayRegistryAbi,
  tokenAbi,
  verifierRegistryAbi,
  workerRegistryAbi,
};

interface AbiError {
  readonly type: "error";
  readonly name: string;
  readonly inputs: readonly AbiParameter[];
}

const isError = (item: { readonly type: string }): item is AbiError => item.type === "error";

const surfaces = [
  ...jobBoardAbi,
  ...jobMachineAbi,
  ...jobMergeAbi,
  ...jobProofsAbi,
  ...ledgerAbi,
  ...workerRegistryAbi,
  ...verifierRegistryAbi,
  ...catalogAbi,
  ...inferenceBoardAbi,
  ...relayRegistryAbi,
  ...deployerAbi,
  ...tokenAbi,
  ...testBeaconAbi,
] as const;

/** Names of the custom errors that a call may surface. */
export type AbiErrorName = Extract<(typeof surfaces)[number], { readonly type: "error" }>["name"];

/** Every custom error that a call may surface, whichever contract raised it. */
export const errorsAbi: Abi = surfaces.filter(isError);
