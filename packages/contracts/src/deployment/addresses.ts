import { concat, encodeDeployData, getContractAddress, keccak256, zeroHash } from "viem";
import type { Hex } from "@skynet/protocol";
import * as BlockhashBeacon from "../../generated/BlockhashBeacon.ts";
import * as Catalog from "../../generated/Catalog.ts";
import * as Deployer from "../../generated/Deployer.ts";
import * as InferenceBoard from "../../generated/InferenceBoard.ts";
import * as JobBoard from "../../generated/JobBoard.ts";
import * as JobMachine from "../../generated/JobMachine.ts";
import * as JobMerge from "../../generated/JobMerge.ts";
import * as JobProofs from "../../generated/JobProofs.ts";
import * as JobViews from "../../generated/JobViews.ts";
import * as Ledger from "../../generated/Ledger.ts";
import * as RelayRegistry from "../../generated/RelayRegistry.ts";
import * as TestBeacon from "../../generated/TestBeacon.ts";
import * as TestToken from "../../generated/TestToken.ts";
import * as VerifierRegistry from "../../generated/VerifierRegistry.ts";
import * as WorkerRegistry from "../../generated/WorkerRegistry.ts";
import { CREATE2_PROXY } from "./create2.ts";

/** Lower-case addresses of the contracts; equal on every chain for one version of the code. */
export interface SkyNetAddresses {
  readonly deployer: Hex;
  readonly ledger: Hex;
  readonly workerRegistry: Hex;
  readonly jobBoard: Hex;
  readonly verifierRegistry: Hex;
  readonly catalog: Hex;
  readonly inferenceBoard: Hex;
  readonly jobMachine: Hex;
  readonly jobMerge: Hex;
  readonly jobProofs: Hex;
  readonly jobViews: Hex;
  readonly blockhashBeacon: Hex;
  readonly relayRegistry: Hex;
  /** Development chains only. */
  readonly testBeacon: Hex;
  /** Development chains only. */
  readonly testToken: Hex;
}

export const lower = (address: string) => address.toLowerCase() as Hex;

/** What the Deployer creates, in the order of its nonces. */
export const children = [
  { name: "ledger", bytecode: Ledger.bytecode },
  { name: "workerRegistry", bytecode: WorkerRegistry.bytecode },
  { name: "jobBoard", bytecode: JobBoard.bytecode },
  { name: "verifierRegistry", bytecode: VerifierRegistry.bytecode },
  { name: "catalog", bytecode: Catalog.bytecode },
  { name: "inferenceBoard", bytecode: InferenceBoard.bytecode },
] as const satisfies readonly { name: keyof SkyNetAddresses; bytecode: Hex }[];

/** The Deployer's constructor binds the code of its children. */
export const deployerInitcode: Hex = encodeDeployData({
  abi: Deployer.abi,
  bytecode: Deployer.bytecode,
  args: [children.map(({ bytecode }) => keccak256(bytecode))],
});

/** What the CREATE2 proxy creates, libraries first. */
export const roots = [
  { name: "jobMachine", bytecode: JobMachine.bytecode },
  { name: "jobMerge", bytecode: JobMerge.bytecode },
  { name: "jobProofs", bytecode: JobProofs.bytecode },
  { name: "jobViews", bytecode: JobViews.bytecode },
  { name: "blockhashBeacon", bytecode: BlockhashBeacon.bytecode },
  { name: "relayRegistry", bytecode: RelayRegistry.bytecode },
  { name: "deployer", bytecode: deployerInitcode },
] as const satisfies readonly { name: keyof SkyNetAddresses; bytecode: Hex }[];

/** What the CREATE2 proxy creates on development chains only. */
export const developmentRoots = [
  { name: "testBeacon", bytecode: TestBeacon.bytecode },
  { name: "testToken", bytecode: TestToken.bytecode },
] as const satisfies readonly { name: keyof SkyNetAddresses; bytecode: Hex }[];

/** What a chain has when SkyNet of this version is on it. */
export const contractNames: readonly (keyof SkyNetAddresses)[] = [...roots, ...children].map(({ name }) => name);

/** Calldata that makes the CREATE2 proxy create a contract. */
export function create2Calldata(bytecode: Hex): Hex {
  return concat([zeroHash, bytecode]);
}

function create2Address(bytecode: Hex): Hex {
  return lower(getContractAddress({ opcode: "CREATE2", from: CREATE2_PROXY, salt: zeroHash, bytecode }));
}

let cached: SkyNetAddresses | undefined;

/**
 * Addresses of the contracts of this version of the code, computed without a chain: everybody with the same sources
 * gets the same addresses, so no address list is needed and none can be wrong.
 */
export function skynetAddresses(): SkyNetAddresses {
  if (cached !== undefined) return cached;
  const deployer = create2Address(deployerInitcode);
  const child = (nonce: bigint) => lower(getContractAddress({ from: deployer, nonce }));
  cached = {
    deployer,
    ledger: child(1n),
    workerRegistry: child(2n),
    jobBoard: child(3n),
    verifierRegistry: child(4n),
    catalog: child(5n),
    inferenceBoard: child(6n),
    jobMachine: create2Address(JobMachine.bytecode),
    jobMerge: create2Address(JobMerge.bytecode),
    jobProofs: create2Address(JobProofs.bytecode),
    jobViews: create2Address(JobViews.bytecode),
    blockhashBeacon: create2Address(BlockhashBeacon.bytecode),
    relayRegistry: create2Address(RelayRegistry.bytecode),
    testBeacon: create2Address(TestBeacon.bytecode),
    testToken: create2Address(TestToken.bytecode),
  };
  return cached;
}
