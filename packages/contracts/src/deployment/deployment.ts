import type { Hex } from "@skynet/protocol";
import { formatEther } from "viem";
import { connect } from "../chain/connection.ts";
import { NotDeployedError } from "../errors.ts";
import { skynetAddresses } from "./addresses.ts";
import { CREATE2_PROXY, PROXY_COST_WEI } from "./create2.ts";
import { deploySkyNet, exists, falseBlockhash, missingCreations } from "./deploy.ts";
import {
  blockBeforeDeployment,
  codeHashes,
  contractsOn,
  dataFee,
  expectedCodeHashes,
  seesTrueBlockhash,
  type ContractName,
} from "./inspect.ts";

export interface DeploymentPlan {
  /** What is still to be created, in this order. */
  readonly missing: readonly ContractName[];
  /** Highest cost of it, in wei, with the chain's present prices. */
  readonly cost: bigint;
  readonly balance: bigint;
}

export interface DeployedContract {
  readonly name: ContractName;
  readonly address: Hex;
  /** EXTCODEHASH. */
  readonly codeHash: Hex;
}

/** Brings SkyNet to a chain and shows that what is there is SkyNet. */
export interface Deployment {
  readonly chainId: number;
  /** Account that pays, lower case. */
  readonly account: Hex;
  /**
   * Asks, without sending anything.
   * @throws NotDeployedError `FalseBlockhash`
   */
  plan(): Promise<DeploymentPlan>;
  /**
   * Creates what is missing; an interrupted deployment goes on.
   * @returns block from which on the contracts can have events
   * @throws NotDeployedError `NoGasMoney` before anything is sent, and what `deploySkyNet` throws
   */
  run(): Promise<bigint>;
  /**
   * Compares the code of every contract with a deployment on a chain of this id that lives for a moment on this machine.
   * @throws NotDeployedError `NotDeployed`, `WrongCode`; AnvilError
   */
  verify(): Promise<DeployedContract[]>;
}

/** @throws ChainUnreachable */
export async function openDeployment(options: { rpcUrl: string; privateKey: Hex }): Promise<Deployment> {
  const connection = await connect(options.rpcUrl, options.privateKey);
  const { publicClient, account, reach } = connection;
  const chainId = publicClient.chain.id;

  const plan = async (): Promise<DeploymentPlan> => {
    if (!(await seesTrueBlockhash(publicClient))) throw falseBlockhash();
    const [creations, balance, prices, hasProxy] = await Promise.all([
      missingCreations(publicClient),
      publicClient.getBalance({ address: account.address }),
      publicClient.estimateFeesPerGas(),
      exists(publicClient, CREATE2_PROXY),
    ]);
    const gas = creations.reduce((sum, creation) => sum + creation.gas, 0n);
    const published = await dataFee(
      publicClient,
      creations.map(({ data }) => data),
    );
    const cost = gas * prices.maxFeePerGas + published + (hasProxy ? 0n : PROXY_COST_WEI);
    return { missing: creations.map(({ name }) => name), cost, balance };
  };

  return {
    chainId,
    account: account.address.toLowerCase() as Hex,
    plan: () => reach(plan),
    run: () =>
      reach(async () => {
        const { missing, cost, balance } = await plan();
        if (missing.length > 0 && balance < cost)
          throw new NotDeployedError(
            "NoGasMoney",
            `the deployment costs up to ${formatEther(cost)} ETH, the account ${account.address} has ${formatEther(balance)} ETH`,
            { hint: "send ETH of this chain to the account and run the same command again; nothing was sent yet" },
          );
        const first = missing.length > 0 ? await deploySkyNet(connection) : undefined;
        // What was there before may have events from before.
        const wasEmpty = missing.length === contractsOn(chainId).length;
        return wasEmpty && first !== undefined ? first : blockBeforeDeployment(publicClient);
      }),
    verify: async () => {
      const [expected, found] = await Promise.all([
        expectedCodeHashes(chainId),
        reach(() => codeHashes(publicClient, chainId)),
      ]);
      const addresses = skynetAddresses();
      return [...found].map(([name, codeHash]) => {
        const address = addresses[name];
        if (BigInt(codeHash) === 0n)
          throw new NotDeployedError("NotDeployed", `the chain has no ${name} of this version at ${address}`, {
            hint: "npx skynet deploy creates what is missing",
          });
        if (codeHash !== expected.get(name))
          throw new NotDeployedError("WrongCode", `the code of ${name} at ${address} is not that of this version`, {
            hint: "do not use this chain: it does not run the code that it was given",
          });
        return { name, address, codeHash };
      });
    },
  };
}
