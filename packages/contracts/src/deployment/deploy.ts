import type { Account, Chain as ViemChain, Hex, PublicClient, Transport, WalletClient } from "viem";
import { encodeFunctionData } from "viem";
import * as Deployer from "../../generated/Deployer.ts";
import { NotDeployedError } from "../errors.ts";
import { children, create2Calldata, roots, skynetAddresses } from "./addresses.ts";
import type { SkyNetAddresses } from "./addresses.ts";
import { CREATE2_PROXY } from "./create2.ts";

/** Chain id of development chains, on which tokens can be minted and windows may last a second. */
export const DEVELOPMENT_CHAIN_ID = 31337;

export interface DeployClients {
  readonly publicClient: PublicClient<Transport, ViemChain>;
  readonly walletClient: WalletClient<Transport, ViemChain, Account>;
}

async function exists(client: PublicClient<Transport, ViemChain>, address: Hex): Promise<boolean> {
  const code = await client.getCode({ address });
  return code !== undefined && code !== "0x";
}

/** A creation that is still to be sent. */
interface Creation {
  readonly to: Hex;
  readonly data: Hex;
  /** The estimate of a call to a Deployer that does not exist yet would be wrong, so it is computed. */
  readonly gas: bigint;
}

// 200 gas per byte of code, at most 16 (EIP-7623: 40) per byte of calldata, and the constructor
const gasFor = (bytecode: Hex) => 500_000n + 250n * BigInt(bytecode.length / 2);

async function missingCreations(client: PublicClient<Transport, ViemChain>): Promise<Creation[]> {
  const addresses = skynetAddresses();
  const development = (await client.getChainId()) === DEVELOPMENT_CHAIN_ID;
  const creations: Creation[] = [];
  for (const { name, bytecode } of roots) {
    if (name === "testToken" && !development) continue;
    if (await exists(client, addresses[name])) continue;
    creations.push({ to: CREATE2_PROXY, data: create2Calldata(bytecode), gas: gasFor(bytecode) });
  }
  for (const { name, bytecode } of children) {
    if (await exists(client, addresses[name])) continue;
    const data = encodeFunctionData({ abi: Deployer.abi, functionName: "deploy", args: [bytecode] });
    creations.push({ to: addresses.deployer, data, gas: gasFor(bytecode) });
  }
  return creations;
}

/**
 * Puts the contracts on the chain. Anybody may call it, again and again: what is there is left alone, and an
 * interrupted deployment goes on. The test token is created on development chains only.
 * @throws NotDeployedError `NoCreate2Proxy`, `DeploymentFailed`
 */
export async function deploySkyNet({ publicClient, walletClient }: DeployClients): Promise<SkyNetAddresses> {
  if (!(await exists(publicClient, CREATE2_PROXY)))
    throw new NotDeployedError(
      "NoCreate2Proxy",
      `the chain has no deterministic deployment proxy at ${CREATE2_PROXY}`,
      {
        hint: "send the proxy's published transaction first (Arachnid/deterministic-deployment-proxy)",
      },
    );
  const hashes: Hex[] = [];
  for (const creation of await missingCreations(publicClient))
    hashes.push(await walletClient.sendTransaction(creation));
  for (const hash of hashes) await publicClient.waitForTransactionReceipt({ hash });
  // a transaction fails when somebody else deploys at the same moment: what counts is what is there
  if ((await missingCreations(publicClient)).length > 0)
    throw new NotDeployedError("DeploymentFailed", "some contracts could not be created", {
      hint: "run the deployment again: it goes on where it stopped",
    });
  return skynetAddresses();
}

/** @throws NotDeployedError `NotDeployed` unless all contracts of this version are on the chain */
export async function assertDeployed(publicClient: PublicClient<Transport, ViemChain>): Promise<void> {
  const addresses = skynetAddresses();
  for (const name of ["ledger", "workerRegistry", "jobBoard", "jobMachine", "jobViews"] as const) {
    if (await exists(publicClient, addresses[name])) continue;
    throw new NotDeployedError("NotDeployed", `the chain has no ${name} of this version at ${addresses[name]}`, {
      hint: "deploy the contracts (anybody may), or connect to the chain that has them",
    });
  }
}
