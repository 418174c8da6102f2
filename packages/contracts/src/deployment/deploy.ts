import { setTimeout as sleep } from "node:timers/promises";
import type { Account, Chain as ViemChain, Hex, PublicClient, Transport, WalletClient } from "viem";
import { encodeFunctionData, keccak256 } from "viem";
import * as BlockhashBeacon from "../../generated/BlockhashBeacon.ts";
import * as Deployer from "../../generated/Deployer.ts";
import { NotDeployedError } from "../errors.ts";
import { children, contractNames, create2Calldata, developmentRoots, roots, skynetAddresses } from "./addresses.ts";
import type { SkyNetAddresses } from "./addresses.ts";
import { CREATE2_PROXY, PROXY_COST_WEI, PROXY_SIGNER, PROXY_TRANSACTION } from "./create2.ts";

/** Chain id of development chains, on which tokens can be minted and windows may last a second. */
export const DEVELOPMENT_CHAIN_ID = 31337;

export interface DeployClients {
  readonly publicClient: PublicClient<Transport, ViemChain>;
  readonly walletClient: WalletClient<Transport, ViemChain, Account>;
}

export async function exists(client: PublicClient<Transport, ViemChain>, address: Hex): Promise<boolean> {
  const code = await client.getCode({ address });
  return code !== undefined && code !== "0x";
}

/** A creation that is still to be sent. */
export interface Creation {
  readonly name: keyof SkyNetAddresses;
  readonly to: Hex;
  readonly data: Hex;
  /** The estimate of a call to a Deployer that does not exist yet would be wrong, so it is computed. */
  readonly gas: bigint;
}

// 200 gas per byte of code, at most 16 (EIP-7623: 40) per byte of calldata, and the constructor
const gasFor = (bytecode: Hex) => 500_000n + 250n * BigInt(bytecode.length / 2);

/** What the chain lacks of this version, in the order in which it must be sent. */
export async function missingCreations(client: PublicClient<Transport, ViemChain>): Promise<Creation[]> {
  const addresses = skynetAddresses();
  const development = (await client.getChainId()) === DEVELOPMENT_CHAIN_ID;
  const creations: Creation[] = [];
  for (const { name, bytecode } of development ? [...roots, ...developmentRoots] : roots) {
    if (await exists(client, addresses[name])) continue;
    creations.push({ name, to: CREATE2_PROXY, data: create2Calldata(bytecode), gas: gasFor(bytecode) });
  }
  for (const { name, bytecode } of children) {
    if (await exists(client, addresses[name])) continue;
    const data = encodeFunctionData({ abi: Deployer.abi, functionName: "deploy", args: [bytecode] });
    creations.push({ name, to: addresses.deployer, data, gas: gasFor(bytecode) });
  }
  return creations;
}

/**
 * The proxy's creation is a published transaction of an account that nobody can use: it is given the money and sent.
 * @throws NotDeployedError `NoCreate2Proxy`
 */
async function ensureProxy({ publicClient, walletClient }: DeployClients): Promise<void> {
  if (await exists(publicClient, CREATE2_PROXY)) return;
  const failed = (cause: unknown) =>
    new NotDeployedError(
      "NoCreate2Proxy",
      `the chain has no deterministic deployment proxy at ${CREATE2_PROXY}, and its published transaction was refused`,
      { cause, hint: "ask the operator of the chain for the proxy (Arachnid/deterministic-deployment-proxy)" },
    );
  try {
    const balance = await publicClient.getBalance({ address: PROXY_SIGNER });
    if (balance < PROXY_COST_WEI) {
      const hash = await walletClient.sendTransaction({ to: PROXY_SIGNER, value: PROXY_COST_WEI - balance });
      await publicClient.waitForTransactionReceipt({ hash });
    }
    const hash = await publicClient.sendRawTransaction({ serializedTransaction: PROXY_TRANSACTION });
    await publicClient.waitForTransactionReceipt({ hash });
  } catch (error) {
    throw failed(error);
  }
  if (!(await exists(publicClient, CREATE2_PROXY))) throw failed(undefined);
}

/**
 * Puts the contracts on the chain. Anybody may call it, again and again: what is there is left alone, and an
 * interrupted deployment goes on. Test token and test beacon are created on development chains only.
 * @returns the block of the first creation; undefined when nothing was missing
 * @throws NotDeployedError `NoCreate2Proxy`, `DeploymentFailed`, `FalseBlockhash`
 */
export async function deploySkyNet({ publicClient, walletClient }: DeployClients): Promise<bigint | undefined> {
  await ensureProxy({ publicClient, walletClient });
  const hashes: Hex[] = [];
  const { address } = walletClient.account;
  // Counted here: endpoints that share the load may not know yet what another one has just taken.
  let nonce = await publicClient.getTransactionCount({ address, blockTag: "pending" });
  for (const { to, data, gas } of await missingCreations(publicClient))
    hashes.push(await walletClient.sendTransaction({ to, data, gas, nonce: nonce++ }));
  let first: bigint | undefined;
  for (const hash of hashes) {
    const { blockNumber } = await publicClient.waitForTransactionReceipt({ hash });
    if (first === undefined || blockNumber < first) first = blockNumber;
  }
  // a transaction fails when somebody else deploys at the same moment: what counts is what is there
  if ((await missingCreations(publicClient)).length > 0)
    throw new NotDeployedError("DeploymentFailed", "some contracts could not be created", {
      hint: "run the deployment again: it goes on where it stopped",
    });
  await assertBlockhash(publicClient);
  return first;
}

const BLOCKHASH_PATIENCE_MS = 5_000;
const BLOCKHASH_PAUSE_MS = 250;

/** What is wrong with a chain on which `seesBlockhash` or `seesTrueBlockhash` is false. */
export const falseBlockhash = (): NotDeployedError =>
  new NotDeployedError("FalseBlockhash", "contracts on this chain do not see the hashes of its blocks", {
    hint: "audits cannot be drawn here: use a chain whose BLOCKHASH is the hash of the block",
  });

/**
 * Whether the blockhash beacon has the hash of the last block but one: the very call that audits are drawn with, which
 * reads BLOCKHASH and the chain's history contract. Before there is a beacon, `seesTrueBlockhash` asks the opcode.
 */
async function seesBlockhash(client: PublicClient<Transport, ViemChain>): Promise<boolean> {
  const latest = await client.getBlockNumber({ cacheTime: 0 });
  if (latest === 0n) return true;
  const [{ hash }, value] = await Promise.all([
    client.getBlock({ blockNumber: latest - 1n }),
    client.readContract({
      address: skynetAddresses().blockhashBeacon,
      abi: BlockhashBeacon.abi,
      functionName: "value",
      args: [latest - 1n],
    }),
  ]);
  return value === keccak256(hash);
}

/**
 * Compares what contracts see with the chain. Some chains have answered BLOCKHASH with the hash of the number, which
 * everybody can compute in advance: audits drawn from it would audit nothing. anvil does so too for the blocks before
 * a restart, so a few new blocks are waited for.
 */
async function assertBlockhash(client: PublicClient<Transport, ViemChain>): Promise<void> {
  const deadline = Date.now() + BLOCKHASH_PATIENCE_MS;
  while (!(await seesBlockhash(client))) {
    if (Date.now() > deadline) throw falseBlockhash();
    await sleep(BLOCKHASH_PAUSE_MS);
  }
}

/**
 * @throws NotDeployedError `NotDeployed` unless all contracts of this version are on the chain, `FalseBlockhash` when
 * contracts cannot draw audits there
 */
export async function assertDeployed(publicClient: PublicClient<Transport, ViemChain>): Promise<void> {
  const addresses = skynetAddresses();
  for (const name of contractNames) {
    if (await exists(publicClient, addresses[name])) continue;
    throw new NotDeployedError("NotDeployed", `the chain has no ${name} of this version at ${addresses[name]}`, {
      hint: "deploy the contracts (anybody may), or connect to the chain that has them",
    });
  }
  await assertBlockhash(publicClient);
}
