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

async function send({ publicClient, walletClient }: DeployClients, to: Hex, data: Hex): Promise<void> {
  const hash = await walletClient.sendTransaction({ to, data });
  const receipt = await publicClient.waitForTransactionReceipt({ hash });
  if (receipt.status !== "success")
    throw new NotDeployedError("DeploymentFailed", `the deployment transaction ${hash} failed`, {
      hint: "run the deployment again: it goes on where it stopped",
    });
}

/**
 * Puts the contracts on the chain. Anybody may call it, again and again: what is there is left alone, and an
 * interrupted deployment goes on. The test token is created on development chains only.
 * @throws NotDeployedError `NoCreate2Proxy`, `DeploymentFailed`
 */
export async function deploySkyNet(clients: DeployClients): Promise<SkyNetAddresses> {
  const { publicClient } = clients;
  const addresses = skynetAddresses();
  if (!(await exists(publicClient, CREATE2_PROXY)))
    throw new NotDeployedError(
      "NoCreate2Proxy",
      `the chain has no deterministic deployment proxy at ${CREATE2_PROXY}`,
      {
        hint: "send the proxy's published transaction first (Arachnid/deterministic-deployment-proxy)",
      },
    );
  const development = (await publicClient.getChainId()) === DEVELOPMENT_CHAIN_ID;
  for (const { name, bytecode } of roots) {
    if (name === "testToken" && !development) continue;
    if (!(await exists(publicClient, addresses[name]))) await send(clients, CREATE2_PROXY, create2Calldata(bytecode));
  }
  for (const { name, bytecode } of children) {
    if (await exists(publicClient, addresses[name])) continue;
    const data = encodeFunctionData({ abi: Deployer.abi, functionName: "deploy", args: [bytecode] });
    await send(clients, addresses.deployer, data);
  }
  await assertDeployed(publicClient);
  return addresses;
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
